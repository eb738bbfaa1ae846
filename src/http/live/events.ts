import { type EventOutcome, type IncomingEvent, tooManyWaiting } from '../../metering/ingest.js';
import type { RawContext, RawEndpoint } from '../raw.js';
import { readText } from '../unpack.js';
import { type BatchItem, readBatch } from './eventBatch.js';

const BODY_BYTES_MAX = 16 * 1024 * 1024;

interface NotStored {
  index: number;
  status: 'duplicate' | 'refused';
  code?: string;
  message?: string;
}

/**
 * Many events in one request. The answer is 200 whatever the single events' fate and lists what was not stored; a
 * repeated batch is answered alike and counts once.
 */
export const eventBatchEndpoint: RawEndpoint = {
  method: 'POST',
  path: '/live/v1/events',
  async handle(ctx) {
    const { accountId } = await ctx.authenticate();
    // Asked before the body is read: turning away must cost less than accepting.
    if (!ctx.core.ingest.hasRoom()) throw tooManyWaiting();
    const text = await readText(ctx.request, BODY_BYTES_MAX);
    const items = await readBatch(text, ctx.request.headers['content-type']);
    const outcomes = await storeItems(ctx, accountId, items);
    return { status: 200, body: JSON.stringify(batchObject(outcomes)) };
  },
};

/** The outcome of each item, in order. */
async function storeItems(
  ctx: RawContext,
  accountId: string,
  items: readonly BatchItem[],
): Promise<EventOutcome[]> {
  const events: IncomingEvent[] = [];
  items.forEach((item, index) => {
    if ('status' in item) return;
    if (ctx.idempotencyKey === null) events.push(item);
    else events.push({ ...item, idempotencyKey: `${ctx.idempotencyKey}/${index}` });
  });
  const stored = events.length === 0 ? [] : await ctx.core.ingest.ingest(accountId, events);
  let next = 0;
  return items.map((item) => {
    if ('status' in item) return item;
    next += 1;
    return stored[next - 1] as EventOutcome;
  });
}

function batchObject(outcomes: readonly EventOutcome[]): object {
  const results: NotStored[] = [];
  let duplicate = 0;
  outcomes.forEach((outcome, index) => {
    if (outcome.status === 'duplicate') {
      duplicate += 1;
      results.push({ index, status: 'duplicate' });
    } else if (outcome.status === 'refused') {
      results.push({ index, status: 'refused', code: outcome.code, message: outcome.message });
    }
  });
  return {
    object: 'event_batch',
    received: outcomes.length,
    stored: outcomes.length - results.length,
    duplicate,
    refused: results.length - duplicate,
    results,
  };
}
