import { toText } from '../../domain/decimal.js';
import { invalid, notFound } from '../../domain/errors.js';
import type { Instant, Period } from '../../domain/period.js';
import {
  type ReportCursor,
  type ReportRow,
  type ReportWindow,
  reportUsage,
} from '../../metering/analytics.js';
import { readDimensions } from '../../metering/dimensions.js';
import { findCustomer } from '../../storage/customers.js';
import { unixSeconds } from '../../stripe/values.js';
import { type Endpoint, endpoint, type JsonObject, type RequestContext } from '../endpoint.js';
import { listObject } from '../pagination.js';
import { array, integer, object, oneOf, text } from '../params.js';
import { cursorId, cursorParts } from './cursor.js';
import { timeParam } from './time.js';

const URL = '/live/v1/usage';
const PREFIX = 'usage_';
const CUSTOMER = 'customer';
const LIMIT_DEFAULT = 10;
const LIMIT_MAX = 1000;
const GROUPS_MAX = 11;
const WINDOW_MS = { hour: 3_600_000, day: 86_400_000 };
const DECIMAL = /^-?\d+(\.\d+)?$/;

export const usageEndpoint: Endpoint = endpoint({
  method: 'GET',
  path: URL,
  repeated: ['group_by'],
  params: object({
    customer: text().optional(),
    end_time: timeParam(),
    group_by: array(text({ max: 100 }), { max: GROUPS_MAX }).optional(),
    limit: integer({ min: 1, max: LIMIT_MAX }).default(LIMIT_DEFAULT),
    meter: text(),
    start_time: timeParam(),
    starting_after: text().optional(),
    window: oneOf(['hour', 'day', 'month']).optional(),
  }),
  async handle(ctx, params) {
    const period = { start: params.start_time, end: params.end_time };
    if (period.start >= period.end) {
      throw invalid('end_time must be later than start_time.', { param: 'end_time' });
    }
    const { accountId, q } = ctx;
    const customerId = params.customer ?? null;
    const checked = customerId === null ? null : checkCustomer(ctx, customerId);
    // Both at once; what is said first is still about the meter.
    const [read] = await Promise.allSettled([readDimensions(q, accountId, params.meter, 'meter'), checked]);
    if (read.status === 'rejected') throw read.reason;
    const meter = read.value;
    await checked;
    const groups = new Set(params.group_by ?? []);
    const dimensions = [...groups].filter((group) => group !== CUSTOMER);
    checkDimensions(dimensions, meter.keys);
    const window = params.window ?? null;
    const rows = await reportUsage(q, {
      accountId,
      meterId: meter.meterId,
      formula: meter.formula,
      period,
      customerId,
      window,
      byCustomer: groups.has(CUSTOMER),
      dimensions,
      limit: params.limit + 1,
      after: params.starting_after === undefined ? null : readCursor(params.starting_after),
    });
    const report: Report = { meterId: meter.meterId, customerId, period, window };
    const isTotal = window === null && groups.size === 0 && params.starting_after === undefined;
    if (isTotal && rows.length === 0) return listObject(URL, [usageObject(report, NOTHING)]);
    const data = rows.slice(0, params.limit).map((row) => usageObject(report, row));
    return listObject(URL, data, rows.length > params.limit);
  },
});

interface Report {
  meterId: string;
  customerId: string | null;
  period: Period;
  window: ReportWindow | null;
}

/** The total of a period without usage; a window or a group without usage is left out instead. */
const NOTHING: ReportRow = {
  windowStart: 0,
  value: { coefficient: 0n, scale: 0 },
  count: 0n,
  group: {},
  cursor: { windowStart: 0, value: '0', group: '{}' },
};

async function checkCustomer({ q, accountId }: RequestContext, customerId: string): Promise<void> {
  if ((await findCustomer(q, accountId, customerId)) === null)
    throw notFound('customer', customerId, 'customer');
}

function checkDimensions(dimensions: readonly string[], known: readonly string[]): void {
  for (const dimension of dimensions) {
    if (known.includes(dimension)) continue;
    const message = `The meter has no dimension '${dimension}'; usage can be grouped by ${[CUSTOMER, ...known].join(', ')}.`;
    throw invalid(message, { param: 'group_by' });
  }
}

function usageObject(report: Report, row: ReportRow): JsonObject {
  const { customer, ...dimensions } = row.group;
  const { start, end } = windowOf(report, row.windowStart);
  const { windowStart, value, group } = row.cursor;
  return {
    object: 'usage',
    id: cursorId(PREFIX, [windowStart, value, group]),
    meter: report.meterId,
    customer: customer ?? report.customerId,
    start_time: unixSeconds(start),
    end_time: unixSeconds(end),
    value: toText(row.value),
    count: row.count,
    group: customer === undefined ? dimensions : { customer, ...dimensions },
  };
}

/** A window at either end is as long as it is inside the period. */
function windowOf({ period, window }: Report, start: Instant): Period {
  if (window === null) return period;
  return { start: Math.max(period.start, start), end: Math.min(period.end, endOf(window, start)) };
}

function endOf(window: ReportWindow, start: Instant): Instant {
  if (window !== 'month') return start + WINDOW_MS[window];
  const date = new Date(start);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1);
}

function readCursor(id: string): ReportCursor {
  const [windowStart, value, group] = cursorParts(PREFIX, 3, 'usage', id);
  const valid = typeof windowStart === 'number' && typeof value === 'string' && typeof group === 'string';
  if (!valid || !DECIMAL.test(value) || Math.abs(windowStart) > 8e15)
    throw notFound('usage', id, 'starting_after');
  return { windowStart, value, group };
}
