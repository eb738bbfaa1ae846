import type { UsageFilter } from '../../domain/contract/contract.js';
import { cutAt } from '../../domain/contract/cuts.js';
import type { BillableMetric, MeteredEvent } from '../../domain/contract/metric.js';
import type {
  GroupValues,
  PresentationValues,
  ProductType,
  UsageSlice,
} from '../../domain/contract/terms.js';
import { add, type Decimal, ZERO } from '../../domain/decimal.js';
import type { Instant, Period } from '../../domain/period.js';
import type { Queryable } from '../../storage/db.js';
import type { Dimensions } from './dimensions.js';
import { readFromEvents } from './fromEvents.js';
import { asArrived, readMetrics } from './read.js';
import {
  type GroupReading,
  hasExactly,
  type MetricTarget,
  type ReadingQuery,
  rowTarget,
  sumOfRows,
} from './reading.js';

/** What a product says about its usage. */
export interface MeteredProduct {
  id: string;
  type: ProductType;
  pricingGroupKey: readonly string[];
  presentationGroupKey: readonly string[];
  billableMetricId: string | null;
  /** The metric from each instant on, ascending; −Infinity for the first. */
  metricHistory?: readonly { startingAt: Instant; billableMetricId: string | null }[];
  /** Of a SQL metric: SERVICE_PERIOD puts everything into the statement's last moment. */
  sqlGranularity?: 'HOUR' | 'SERVICE_PERIOD';
}

export interface UsageSliceRequest {
  accountId: string;
  customerKeys: readonly string[];
  /** Each routes the contract's usage for its time; outside of all of them everything is the contract's. */
  usageFilter: readonly UsageFilter[];
  products: readonly MeteredProduct[];
  metrics: readonly (BillableMetric & { sql?: string | null })[];
  period: Period;
  /** Inside the period, ascending. */
  cuts: readonly Instant[];
  /** The customer's now: a level that lasts is metered up to it. Without it up to the period's end. */
  at?: Instant;
  /** Counted besides those stored: see `slicesOfEvents` for them alone. */
  extraEvents?: readonly MeteredEvent[];
}

/** One way to read a product in a part of the period. */
interface Variant {
  product: MeteredProduct;
  target: MetricTarget;
  /** The windows it is for. */
  windows: ReadonlySet<number>;
  wholePeriod: boolean;
}

/**
 * The usage of the products in the period, by group values and between the cuts: what `computeUsageInvoice` bills.
 * Includes every event acknowledged before, by either client, under any name that the customer has now.
 */
export async function readUsageSlices(q: Queryable, request: UsageSliceRequest): Promise<UsageSlice[]> {
  const { windows, variants, targets } = planOf(request);
  const readings = await readMetrics(q, targets, queryOf(request, windows));
  return slicesOf(windows, variants, targets, readings);
}

/** The same of these events alone, whatever is stored; `customerKeys` is not looked at. */
export function slicesOfEvents(
  request: Omit<UsageSliceRequest, 'extraEvents' | 'customerKeys' | 'accountId'>,
  events: readonly MeteredEvent[],
): UsageSlice[] {
  const whole = { ...request, accountId: '', customerKeys: [], extraEvents: events };
  const { windows, variants, targets } = planOf(whole);
  const query = queryOf(whole, windows);
  const readings = targets.map((target) =>
    sumOfRows(target, readFromEvents(rowTarget(target), query, asArrived(query))),
  );
  return slicesOf(windows, variants, targets, readings);
}

function queryOf(request: UsageSliceRequest, windows: readonly Period[]): ReadingQuery {
  const { accountId, customerKeys, extraEvents = [], at = request.period.end } = request;
  return { accountId, customerKeys, windows, at, extraEvents, mode: 'running' };
}

interface Plan {
  windows: Period[];
  variants: Variant[];
  /** Each target once, whoever asks for it. */
  targets: MetricTarget[];
}

function planOf(request: UsageSliceRequest): Plan {
  const windows = cutAt(request.period, instantsOf(request));
  const metrics = new Map(request.metrics.map((metric) => [metric.id, metric]));
  const targets = new Map<string, MetricTarget>();
  const variants: Variant[] = [];
  for (const product of request.products) {
    const own = new Map<string, { windows: Set<number>; target: MetricTarget; wholePeriod: boolean }>();
    windows.forEach(({ start }, index) => {
      const metric = metrics.get(metricIdAt(product, start) ?? '');
      if (product.type !== 'USAGE' || metric === undefined) return;
      const names = [...new Set([...product.pricingGroupKey, ...product.presentationGroupKey])].sort();
      const filters = request.usageFilter
        .filter((filter) => filter.startingAt <= start && start < (filter.endingBefore ?? Infinity))
        .map(({ groupKey, groupValues }) => ({ name: groupKey, values: groupValues }));
      const key = JSON.stringify([metric.id, names, filters]);
      const target = targets.get(key) ?? { metric, names, filters };
      targets.set(key, target);
      const wholePeriod = typeof metric.sql === 'string' && product.sqlGranularity === 'SERVICE_PERIOD';
      const variant = own.get(key) ?? { windows: new Set(), target, wholePeriod };
      variant.windows.add(index);
      own.set(key, variant);
    });
    variants.push(...[...own.values()].map((variant) => ({ product, ...variant })));
  }
  return { windows, variants, targets: [...targets.values()] };
}

/** The cuts asked for, and those where a product changes its metric or a filter begins or ends. */
function instantsOf({ period, cuts, products, usageFilter }: UsageSliceRequest): Instant[] {
  const instants = new Set(cuts);
  for (const { metricHistory = [] } of products) {
    for (const { startingAt } of metricHistory) instants.add(startingAt);
  }
  for (const { startingAt, endingBefore } of usageFilter) {
    instants.add(startingAt);
    if (endingBefore !== null) instants.add(endingBefore);
  }
  return [...instants].filter((at) => period.start < at && at < period.end).sort((a, b) => a - b);
}

function metricIdAt({ metricHistory, billableMetricId }: MeteredProduct, at: Instant): string | null {
  if (metricHistory === undefined) return billableMetricId;
  return metricHistory.findLast(({ startingAt }) => startingAt <= at)?.billableMetricId ?? null;
}

function slicesOf(
  windows: readonly Period[],
  variants: readonly Variant[],
  targets: readonly MetricTarget[],
  readings: readonly GroupReading[][],
): UsageSlice[] {
  const slices: UsageSlice[] = [];
  const last = windows.length - 1;
  for (const variant of variants) {
    const { product, target } = variant;
    for (const { dimensions, windows: read } of readings[targets.indexOf(target)] ?? []) {
      const pricingGroupValues = pick(dimensions, product.pricingGroupKey, '');
      const presentationGroupValues = pick(dimensions, product.presentationGroupKey, null);
      const common = { productId: product.id, pricingGroupValues, presentationGroupValues };
      const own = read.filter(({ index }) => variant.windows.has(index));
      if (variant.wholePeriod) {
        const quantity = own.reduce<Decimal>((sum, one) => add(sum, one.quantity), ZERO);
        if (own.length > 0) slices.push({ ...(windows[last] as Period), ...common, quantity });
        continue;
      }
      for (const { index, quantity } of own) {
        const { start, end } = windows[index] as Period;
        slices.push({ start, end, ...common, quantity });
      }
    }
  }
  return slices.sort((a, b) => a.start - b.start);
}

const NO_VALUES: Readonly<Record<string, never>> = Object.freeze({});

/** The same objects as at the last read, wherever they say all: their keys are known then. */
function pick(dimensions: Dimensions, names: readonly string[], missing: ''): GroupValues;
function pick(dimensions: Dimensions, names: readonly string[], missing: null): PresentationValues;
function pick(dimensions: Dimensions, names: readonly string[], missing: '' | null): PresentationValues {
  if (names.length === 0) return NO_VALUES;
  const isWhole = missing === null || names.every((name) => dimensions[name] !== null);
  if (isWhole && hasExactly(dimensions, names)) return dimensions;
  return Object.fromEntries(names.map((name) => [name, dimensions[name] ?? missing]));
}
