import { requireMeter } from '../../billing/meters.js';
import { invalid, notFound } from '../../domain/errors.js';
import type { Instant, Period } from '../../domain/period.js';
import { readUsage, usageWindows } from '../../metering/usage.js';
import { findCustomer } from '../../storage/customers.js';
import { meterEventSummaryObject, type SummaryList, summaryStart } from '../../stripe/meterEventSummary.js';
import { type Endpoint, endpoint, type JsonObject, type RequestContext } from '../endpoint.js';
import { type ListCursorParams, listObject } from '../pagination.js';
import { instant, listParamsWithoutCreated, oneOf, text } from '../params.js';

const MINUTE_MS = 60_000;
const WINDOW_MS = { hour: 3_600_000, day: 86_400_000 };

interface SummaryRequest {
  list: SummaryList;
  period: Period;
  livemode: boolean;
}

export const meterEventSummariesEndpoints: readonly Endpoint[] = [
  endpoint({
    method: 'GET',
    path: '/v1/billing/meters/:id/event_summaries',
    params: listParamsWithoutCreated({
      customer: text(),
      end_time: instant(),
      start_time: instant(),
      value_grouping_window: oneOf(['day', 'hour']).optional(),
    }),
    async handle(ctx, params, { id = '' }) {
      const meter = await requireMeter(ctx.q, ctx.accountId, id);
      const window = params.value_grouping_window ?? 'none';
      const period = { start: params.start_time, end: params.end_time };
      checkPeriod(period, window);
      if ((await findCustomer(ctx.q, ctx.accountId, params.customer)) === null) {
        throw notFound('customer', params.customer, 'customer');
      }
      const list: SummaryList = { meterId: meter.id, customerId: params.customer, window };
      const request = { list, period, livemode: meter.livemode };
      const url = `/v1/billing/meters/${meter.id}/event_summaries`;
      if (window === 'none') return listObject(url, await wholePeriod(ctx, request, params));
      return pageOfWindows(ctx, request, window, params, url);
    },
  }),
];

/** Stripe's alignment: minutes, or whole UTC hours or days when grouped. */
function checkPeriod({ start, end }: Period, window: SummaryList['window']): void {
  const size = window === 'none' ? MINUTE_MS : WINDOW_MS[window];
  const unit = window === 'none' ? 'minute' : window === 'hour' ? 'hour' : 'UTC day';
  const check = (param: string, at: Instant): void => {
    if (at % size !== 0) throw invalid(`${param} must be aligned with ${unit} boundaries.`, { param });
  };
  check('start_time', start);
  check('end_time', end);
  if (start >= end) throw invalid('end_time must be later than start_time.', { param: 'end_time' });
}

/** Without a window there is one summary, also of no usage. */
async function wholePeriod(
  ctx: RequestContext,
  { list, period, livemode }: SummaryRequest,
  params: ListCursorParams,
): Promise<JsonObject[]> {
  const cursor = params.starting_after ?? params.ending_before;
  if (cursor !== undefined) {
    cursorStart(list, cursor, params);
    return [];
  }
  const { meterId, customerId } = list;
  const { value } = await readUsage(ctx.q, { accountId: ctx.accountId, meterId, customerId, period });
  return [meterEventSummaryObject(list, { period, value, livemode })];
}

/** Newest first; windows without events are left out. */
async function pageOfWindows(
  ctx: RequestContext,
  { list, period, livemode }: SummaryRequest,
  window: 'hour' | 'day',
  params: ListCursorParams,
  url: string,
): Promise<JsonObject> {
  const { start, end } = period;
  const { starting_after: after, ending_before: before, limit } = params;
  const backward = before !== undefined;
  const span = {
    start:
      before === undefined ? start : Math.max(start, cursorStart(list, before, params) + WINDOW_MS[window]),
    end: after === undefined ? end : Math.min(end, cursorStart(list, after, params)),
  };
  const { meterId, customerId } = list;
  const found = await usageWindows(ctx.q, {
    accountId: ctx.accountId,
    meterId,
    customerId,
    period: span,
    window,
    limit: limit + 1,
    order: backward ? 'oldest_first' : 'newest_first',
  });
  const page = found.slice(0, limit);
  if (backward) page.reverse();
  const data = page.map(({ start: at, value }) =>
    meterEventSummaryObject(list, { period: { start: at, end: at + WINDOW_MS[window] }, value, livemode }),
  );
  return listObject(url, data, found.length > limit);
}

function cursorStart(list: SummaryList, id: string, params: ListCursorParams): Instant {
  const start = summaryStart(list, id);
  if (start !== null) return start;
  throw notFound(
    'meter event summary',
    id,
    params.ending_before === undefined ? 'starting_after' : 'ending_before',
  );
}
