import { type BalanceFilter, netBalance } from '../../domain/contract/balance.js';
import type { Decimal } from '../../domain/decimal.js';
import type { Instant } from '../../domain/period.js';
import type { OpenInvoices } from './open.js';

export interface NetBalanceFilter extends BalanceFilter {
  /** All of these values, or null. */
  customFields: Readonly<Record<string, string>> | null;
}

/**
 * The customer's net balance in one pricing unit: what the segments open at the instant have left after final invoices
 * and, unless only these are asked for, drafts (docs.metronome.com/api-reference, getNetBalance).
 */
export function netBalanceOf(
  open: Pick<OpenInvoices, 'balances' | 'state'>,
  creditTypeId: string,
  at: Instant,
  options: { finalizedOnly?: boolean; filters?: readonly NetBalanceFilter[] } = {},
): Decimal {
  const all = options.finalizedOnly === true ? open.state.balances : open.balances;
  const filters = options.filters ?? [];
  const ids = (filter: NetBalanceFilter) =>
    filter.customFields === null
      ? filter.ids
      : all
          .filter(({ id, customFields }) => {
            if (filter.ids !== null && !filter.ids.includes(id)) return false;
            return Object.entries(filter.customFields ?? {}).every(
              ([key, value]) => customFields[key] === value,
            );
          })
          .map(({ id }) => id);
  return netBalance(
    all,
    creditTypeId,
    at,
    filters.map((filter) => ({ types: filter.types, ids: ids(filter) })),
  );
}
