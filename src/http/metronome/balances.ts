import { lockForChange } from '../../billing/contracts/create.js';
import { addManualEntry } from '../../billing/contracts/manualEntry.js';
import { netBalanceOf } from '../../billing/contracts/netBalance.js';
import { requireCustomerByAnyId } from '../../billing/metronome/customers.js';
import { isAccessible } from '../../domain/contract/burnOrder.js';
import { balanceAt } from '../../domain/contract/balance.js';
import type { BalanceRecord } from '../../domain/contract/contract.js';
import { add, compare, isZero, ZERO } from '../../domain/decimal.js';
import { invalid } from '../../domain/errors.js';
import { type JsonObject, jsonNumber } from '../../json.js';
import { USD_CREDIT_TYPE_ID } from '../../storage/pricingUnits.js';
import { contractContext, type ContractView, loadView } from './contractView.js';
import { EMPTY, type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { BODY_LIMIT_DEFAULT, bodyCursorPage, type PageParams, pageOf } from './paging.js';
import {
  boolean,
  customerId,
  decimal,
  list,
  object,
  oneOf,
  text,
  textMap,
  timestamp,
  uuid,
} from './params.js';
import { z } from 'zod';
import { balanceObject } from './render/balance.js';

/** What the three lists of balances are filtered by. */
export const balanceListFields = {
  customer_id: customerId(),
  covering_date: timestamp().optional(),
  starting_at: timestamp().optional(),
  effective_before: timestamp().optional(),
  include_contract_balances: boolean().optional(),
  include_archived: boolean().optional(),
  include_ledgers: boolean().optional(),
  include_balance: boolean().optional(),
  exclude_zero_balances: boolean().optional(),
  ...bodyCursorPage,
};

export interface BalanceListParams extends PageParams {
  covering_date?: number | undefined;
  starting_at?: number | undefined;
  effective_before?: number | undefined;
  include_contract_balances?: boolean | undefined;
  include_archived?: boolean | undefined;
  include_ledgers?: boolean | undefined;
  include_balance?: boolean | undefined;
  exclude_zero_balances?: boolean | undefined;
}

/** One page of those balances that pass the filters, in the order of creation. */
export function balancePage(
  view: ContractView,
  params: BalanceListParams,
  wanted: (balance: BalanceRecord) => boolean,
): JsonObject {
  const context = contractContext(view, params);
  const rows = view.open.balances.filter((one) => wanted(one) && passes(one, params, view.now));
  return pageOf(
    rows,
    params,
    ({ id }) => id,
    (one) => balanceObject(context, one),
    BODY_LIMIT_DEFAULT,
  );
}

function passes(balance: BalanceRecord, params: BalanceListParams, now: number): boolean {
  const { covering_date: covering, starting_at: from, effective_before: before } = params;
  if (balance.archivedAt !== null && params.include_archived !== true) return false;
  if (balance.contractId !== null && params.include_contract_balances !== true) return false;
  if (covering !== undefined && !balance.access.some((segment) => isAccessible(segment, covering)))
    return false;
  if (from !== undefined && !balance.access.some(({ endingBefore }) => endingBefore > from)) return false;
  if (before !== undefined && !balance.access.some(({ startingAt }) => startingAt < before)) return false;
  return params.exclude_zero_balances !== true || !isZero(balanceAt(balance, now));
}

const listAll = metronomeEndpoint({
  method: 'POST',
  path: '/v1/contracts/customerBalances/list',
  transactional: false,
  body: object({ id: uuid().optional(), ...balanceListFields }),
  async handle(ctx, input) {
    const view = await loadView(ctx, input.customer_id);
    return balancePage(view, input, ({ id }) => input.id === undefined || id === input.id);
  },
});

const netBalance = metronomeEndpoint({
  method: 'POST',
  path: '/v1/contracts/customerBalances/getNetBalance',
  transactional: false,
  body: object({
    customer_id: customerId(),
    credit_type_id: uuid().optional(),
    invoice_inclusion_mode: oneOf(['FINALIZED', 'FINALIZED_AND_DRAFT']).optional(),
    filters: list(
      object({
        balance_types: list(oneOf(['PREPAID_COMMIT', 'POSTPAID_COMMIT', 'CREDIT'])).optional(),
        ids: list(uuid()).optional(),
        custom_fields: textMap().optional(),
      }),
    ).optional(),
  }),
  async handle(ctx, input) {
    const view = await loadView(ctx, input.customer_id);
    const creditTypeId = input.credit_type_id ?? USD_CREDIT_TYPE_ID;
    if (!view.open.state.units.has(creditTypeId))
      throw invalid("Invalid 'credit_type_id': no such pricing unit.");
    const balance = netBalanceOf(view.open, creditTypeId, view.now, {
      finalizedOnly: input.invoice_inclusion_mode === 'FINALIZED',
      filters: (input.filters ?? []).map((filter) => ({
        types: filter.balance_types?.map((type) => BALANCE_TYPES[type]) ?? null,
        ids: filter.ids ?? null,
        customFields: filter.custom_fields ?? null,
      })),
    });
    return { data: { balance: jsonNumber(balance), credit_type_id: creditTypeId } };
  },
});

const BALANCE_TYPES = { PREPAID_COMMIT: 'PREPAID', POSTPAID_COMMIT: 'POSTPAID', CREDIT: 'CREDIT' } as const;

const manualEntry = metronomeEndpoint({
  method: 'POST',
  path: '/v1/contracts/addManualBalanceLedgerEntry',
  body: object({
    id: uuid(),
    customer_id: customerId(),
    segment_id: uuid(),
    amount: decimal(),
    reason: text(),
    contract_id: uuid().optional(),
    timestamp: timestamp().optional(),
    per_group_amounts: z.record(z.string(), decimal()).optional(),
  }),
  async handle({ tx, core, accountId }, input) {
    const customer = await requireCustomerByAnyId(tx, accountId, input.customer_id);
    const bySeat = new Map(Object.entries(input.per_group_amounts ?? {}));
    if (bySeat.size > 0 && compare([...bySeat.values()].reduce(add, ZERO), input.amount) !== 0) {
      throw invalid("Invalid 'per_group_amounts': must add up to the amount.");
    }
    const change = await lockForChange(tx, core, accountId, customer.id);
    await addManualEntry(change, {
      balanceId: input.id,
      segmentId: input.segment_id,
      contractId: input.contract_id ?? null,
      amount: input.amount,
      reason: input.reason,
      timestamp: input.timestamp ?? null,
      bySeat,
    });
    return EMPTY;
  },
});

export const balanceEndpoints: readonly MetronomeEndpoint[] = [listAll, netBalance, manualEntry];
