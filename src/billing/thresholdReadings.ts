import {
  type AlertType,
  balanceReading,
  balanceTypesOf,
  invoiceTotalReading,
  spendReading,
} from '../domain/contract/alerts.js';
import type { BalanceRecord, ContractRecord } from '../domain/contract/contract.js';
import { isIndividual } from '../domain/contract/seatLedger.js';
import type { DraftInvoice } from '../domain/contract/draft.js';
import { add, type Decimal, ZERO } from '../domain/decimal.js';
import type { Instant } from '../domain/period.js';
import type { LoadedProduct } from '../storage/contractProducts.js';
import type { Queryable } from '../storage/db.js';
import { USD_CREDIT_TYPE_ID } from '../storage/pricingUnits.js';
import type { CustomFieldFilter, ThresholdAlert } from '../storage/thresholdAlerts.js';
import { computeOpen, type OpenInvoices } from './contracts/open.js';
import { createUsageReader } from './contracts/usage.js';

/**
 * What an alert reads of a customer; null where there is nothing to read. Spend of groups is rated anew as if their keys
 * were presentation keys, so that tiers, roundings and maxima begin again with each value (docs.metronome.com, "threshold
 * notifications").
 */
export async function readAlert(
  q: Queryable,
  alert: ThresholdAlert,
  open: OpenInvoices,
  at: Instant,
): Promise<Decimal | null> {
  const unit = alert.creditTypeId ?? USD_CREDIT_TYPE_ID;
  if (alert.type.startsWith('low_remaining_')) {
    return balanceReading(alert.type, watchedBalances(alert, open), unit, at);
  }
  if (alert.groupValues.length > 0) {
    const regrouped = await ratedByGroups(q, alert, open, at);
    return spendReading(currentDrafts(alert, regrouped, at), unit, groupOf(alert));
  }
  const current = currentDrafts(alert, open, at);
  switch (alert.type) {
    case 'spend_threshold_reached':
      return spendReading(current, unit);
    case 'monthly_invoice_total_spend_threshold_reached':
      return totalOf(current.filter((draft) => draft.creditTypeId === unit));
    case 'invoice_total_reached':
      return invoiceTotalReading(
        activeInvoices(alert, open, at).filter(
          ({ creditTypeId }) => alert.creditTypeId === null || creditTypeId === unit,
        ),
        alert.invoiceTypes,
      );
    case 'usage_threshold_reached':
      return usageReading(q, alert, open, current);
    default:
      throw new RangeError(`no reading for alerts of type ${alert.type}`);
  }
}

/** The property of the webhook that carries the reading (docs.metronome.com, "threshold notifications"). */
export function readingName(type: AlertType): string {
  if (type.startsWith('low_remaining_')) return 'remaining_balance';
  if (type === 'usage_threshold_reached') return 'current_usage';
  return type === 'invoice_total_reached' ? 'invoice_total' : 'current_spend';
}

/** Of one look at a customer, by the keys: several alerts ask for the same. */
const regroupings = new WeakMap<OpenInvoices, Map<string, Promise<OpenInvoices>>>();

function ratedByGroups(
  q: Queryable,
  { groupValues }: ThresholdAlert,
  open: OpenInvoices,
  at: Instant,
): Promise<OpenInvoices> {
  const keys = [...new Set(groupValues.map(({ key }) => key))].sort();
  const id = JSON.stringify(keys);
  const known = regroupings.get(open) ?? new Map<string, Promise<OpenInvoices>>();
  regroupings.set(open, known);
  const { accountId, customer } = open.state;
  const reader = createUsageReader(q, accountId, customer.id);
  const regrouped = known.get(id) ?? computeOpen(open.state, reader, { at, presentedBy: keys });
  known.set(id, regrouped);
  return regrouped;
}

function groupOf({ groupValues }: ThresholdAlert): Record<string, string | null> {
  return Object.fromEntries(groupValues.map(({ key, value }) => [key, value]));
}

function totalOf(drafts: readonly DraftInvoice[]): Decimal | null {
  if (drafts.length === 0) return null;
  return drafts.reduce((sum, { total }) => add(sum, total), ZERO);
}

/** Usage statements that contain the instant, of the contracts that the alert is about. */
function currentDrafts(alert: ThresholdAlert, open: OpenInvoices, at: Instant): DraftInvoice[] {
  return activeInvoices(alert, open, at).filter(
    ({ type, period }) => type === 'USAGE' && period !== null && at < period.end,
  );
}

/** Drafts that have begun: statements, those in their grace too, and scheduled invoices that wait to be final. */
function activeInvoices(alert: ThresholdAlert, open: OpenInvoices, at: Instant): DraftInvoice[] {
  const contracts = new Map(open.state.contracts.map(({ contract }) => [contract.id, contract]));
  return open.drafts.filter(({ contractId, period, issuedAt }) => {
    const contract = contracts.get(contractId);
    if (contract === undefined || !contractPasses(alert, contract)) return false;
    return period === null ? issuedAt <= at : period.start <= at;
  });
}

function contractPasses({ customFieldFilters }: ThresholdAlert, { customFields }: ContractRecord): boolean {
  return customFieldFilters
    .filter(({ entity }) => entity === 'Contract')
    .every((filter) => hasField(customFields, filter));
}

async function usageReading(
  q: Queryable,
  { billableMetricId }: ThresholdAlert,
  open: OpenInvoices,
  current: readonly DraftInvoice[],
): Promise<Decimal | null> {
  const periods = current.flatMap(({ period }) => (period === null ? [] : [period]));
  if (billableMetricId === null || periods.length === 0) return null;
  const { accountId, customer } = open.state;
  const slices = await createUsageReader(q, accountId, customer.id).slices({
    usageFilters: [],
    products: new Map([[billableMetricId, wholeMetric(billableMetricId)]]),
    period: {
      start: Math.min(...periods.map(({ start }) => start)),
      end: Math.max(...periods.map(({ end }) => end)),
    },
    cuts: [],
  });
  return slices.reduce((sum, { quantity }) => add(sum, quantity), ZERO);
}

/** Stands for the whole usage of a metric, whoever sells it. */
function wholeMetric(billableMetricId: string): LoadedProduct {
  return {
    id: billableMetricId,
    name: '',
    type: 'USAGE',
    tags: [],
    pricingGroupKey: [],
    presentationGroupKey: [],
    quantityConversion: null,
    quantityRounding: null,
    composite: null,
    billableMetricId,
    metricHistory: [{ startingAt: Number.NEGATIVE_INFINITY, billableMetricId }],
    sqlGranularity: 'HOUR',
    customFields: {},
    archivedAt: null,
  };
}

/** Without what single seats have (docs.metronome.com, "manage seats": seat scoped credits are not included). */
function watchedBalances(alert: ThresholdAlert, open: OpenInvoices): BalanceRecord[] {
  const types = balanceTypesOf(alert.type);
  const { customFieldFilters, specifiers } = alert;
  return open.balances.filter(
    (balance) =>
      types.includes(balance.type) &&
      !isIndividual(balance) &&
      balancePasses(balance, customFieldFilters) &&
      (specifiers.length === 0 ||
        specifiers.some(
          ({ filters, exclude }) => balancePasses(balance, filters) && !isExcluded(balance, exclude),
        )),
  );
}

/** All filters that concern a balance of its type hold. */
export function balancePasses(balance: BalanceRecord, filters: readonly CustomFieldFilter[]): boolean {
  return filters
    .filter(({ entity }) => concerns(entity, balance))
    .every((filter) => hasField(balance.customFields, filter));
}

/** All filters of one of the sets hold, each for an entity that the balance is. */
export function isExcluded(balance: BalanceRecord, sets: readonly (readonly CustomFieldFilter[])[]): boolean {
  return sets.some(
    (filters) =>
      filters.length > 0 &&
      filters.every((filter) => concerns(filter.entity, balance) && hasField(balance.customFields, filter)),
  );
}

function concerns(entity: CustomFieldFilter['entity'], { type }: BalanceRecord): boolean {
  if (entity === 'ContractCreditOrCommit') return true;
  return type === 'CREDIT' ? entity === 'ContractCredit' : entity === 'Commit';
}

function hasField(fields: Readonly<Record<string, string>>, { key, value }: CustomFieldFilter): boolean {
  return Object.hasOwn(fields, key) && (value === null || fields[key] === value);
}
