import type { Core } from '../../core.js';
import { cutAt } from '../../domain/contract/cuts.js';
import { termsOf } from '../../domain/contract/contract.js';
import type { BillableMetric } from '../../domain/contract/metric.js';
import { statementAt } from '../../domain/contract/statement.js';
import type { Decimal } from '../../domain/decimal.js';
import { ZERO } from '../../domain/decimal.js';
import { invalid } from '../../domain/errors.js';
import type { Instant, Period } from '../../domain/period.js';
import type { Dimensions } from '../../metering/metrics/dimensions.js';
import { readMetrics } from '../../metering/metrics/read.js';
import type { ValueFilter } from '../../metering/metrics/reading.js';
import { findContractsOf } from '../../storage/contracts.js';
import type { CustomerRecord } from '../../storage/customers.js';
import type { Queryable } from '../../storage/db.js';
import { customerKeys } from '../../storage/ingestAliases.js';
import { customerNow } from '../clock.js';

type UsageWindowSize = 'HOUR' | 'DAY' | 'NONE';

const HOUR_MS = 3_600_000;
const WINDOWS_MAX = 2_000;

/** The UTC hours or days of a period, or the whole of it. Refuses bounds inside an hour and more than 2,000 windows. */
export function usageWindows(period: Period, size: UsageWindowSize): Period[] {
  const { start, end } = period;
  if (start % HOUR_MS !== 0 || end % HOUR_MS !== 0) {
    throw invalid('Invalid request: starting_on and ending_before must be on a whole hour.');
  }
  if (start >= end) throw invalid('Invalid request: starting_on must be before ending_before.');
  if (size === 'NONE') return [period];
  const step = size === 'HOUR' ? HOUR_MS : 24 * HOUR_MS;
  if ((end - start) / step > WINDOWS_MAX) {
    throw invalid(`Invalid request: the period has more than ${WINDOWS_MAX} windows of that size.`);
  }
  const cuts: Instant[] = [];
  for (let at = (Math.floor(start / step) + 1) * step; at < end; at += step) cuts.push(at);
  return cutAt(period, cuts);
}

interface UsageReportQuery {
  customer: CustomerRecord;
  metric: BillableMetric;
  /** Empty: the whole usage. */
  groupKey: readonly string[];
  filters: readonly ValueFilter[];
  windows: readonly Period[];
}

export interface UsageOfGroup {
  dimensions: Dimensions;
  /** By window; null where there was none and the metric has no zero. */
  values: (Decimal | null)[];
}

/** What one customer has used in each window by itself, by group, in the order of the values. */
export async function usageReport(
  q: Queryable,
  core: Pick<Core, 'now'>,
  accountId: string,
  query: UsageReportQuery,
): Promise<UsageOfGroup[]> {
  const { customer, metric, groupKey, filters, windows } = query;
  const [groups = []] = await readMetrics(q, [{ metric, names: groupKey, filters }], {
    accountId,
    customerKeys: await customerKeys(q, accountId, customer.id),
    windows,
    at: await customerNow(q, core, accountId, customer),
    extraEvents: [],
    mode: 'separate',
  });
  const empty = emptyValue(metric);
  const answer = groups.map(({ dimensions, windows: used }) => {
    const values: (Decimal | null)[] = windows.map(() => empty);
    for (const { index, quantity } of used) values[index] = quantity;
    return { dimensions, values, isUsed: used.length > 0 };
  });
  const shown = groupKey.length === 0 ? answer : answer.filter(({ isUsed }) => isUsed);
  if (groupKey.length === 0 && shown.length === 0) {
    return [{ dimensions: {}, values: windows.map(() => empty) }];
  }
  const text = ({ dimensions }: UsageOfGroup) =>
    JSON.stringify(groupKey.map((name) => dimensions[name] ?? null));
  return shown
    .map(({ dimensions, values }) => ({ dimensions, values }))
    .sort((a, b) => (text(a) < text(b) ? -1 : 1));
}

function emptyValue({ aggregation: { type } }: BillableMetric): Decimal | null {
  return type === 'MAX' || type === 'LATEST' || type === 'PERCENTILE' ? null : ZERO;
}

/** Refuses what is no whole group key of the metric: parts of a compound one can't be read (docs.metronome.com). */
export function requireGroupKey(metric: BillableMetric, names: readonly string[]): void {
  const isKey = metric.groupKeys.some(
    (key) => key.length === names.length && key.every((name) => names.includes(name)),
  );
  if (isKey) return;
  throw invalid(
    `Invalid 'group_key': [${names.join(', ')}] is no group key of billable metric ${metric.id}.`,
  );
}

/** The statement that a customer is in now, of its oldest contract that is in force. */
export async function currentPeriod(
  q: Queryable,
  core: Pick<Core, 'now'>,
  accountId: string,
  customer: CustomerRecord,
): Promise<Period> {
  const now = await customerNow(q, core, accountId, customer);
  for (const contract of await findContractsOf(q, accountId, customer.id)) {
    const statement = contract.archivedAt === null ? statementAt(termsOf(contract), now) : null;
    if (statement !== null) return { start: statement.start, end: statement.end };
  }
  throw invalid("Invalid 'current_period': the customer has no contract in force.");
}
