import { customerNow } from '../../billing/clock.js';
import { requireCustomerByAnyId } from '../../billing/metronome/customers.js';
import type { MeteredEvent } from '../../domain/contract/metric.js';
import { invalid } from '../../domain/errors.js';
import { searchEvents } from '../../metering/metrics/search.js';
import { invoiceContext, loadView } from './contractView.js';
import { type MetronomeContext, type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { anyObject, boolean, list, object, oneOf, text, timestamp } from './params.js';
import { invoiceObject } from './render/invoice.js';

const EVENTS_MAX = 100;

const previewEvents = metronomeEndpoint({
  method: 'POST',
  path: '/v1/customers/:customer_id/previewEvents',
  transactional: false,
  body: object({
    events: list(
      object({
        event_type: text({ max: 500 }),
        timestamp: timestamp().optional(),
        properties: anyObject().optional(),
        transaction_id: text({ max: 128 }).optional(),
      }),
      { min: 1, max: EVENTS_MAX },
    ),
    mode: oneOf(['replace', 'merge']).optional(),
    skip_zero_qty_line_items: boolean().optional(),
  }),
  /** What the open usage invoices would be with these events, or with these alone. Nothing is stored. */
  async handle(ctx, input, path) {
    const customer = await requireCustomerByAnyId(ctx.q, ctx.accountId, path['customer_id'] ?? '');
    const now = await customerNow(ctx.q, ctx.core, ctx.accountId, customer);
    const known = await knownIds(ctx, input.events);
    const events = input.events
      .filter(({ transaction_id: id }) => id === undefined || !known.has(id))
      .map(
        (event): MeteredEvent => ({
          eventType: event.event_type,
          timestamp: event.timestamp ?? now,
          properties: event.properties ?? {},
        }),
      );
    const view = await loadView(ctx, customer.id, { extraUsage: { events, mode: input.mode ?? 'replace' } });
    const context = invoiceContext(view, input.skip_zero_qty_line_items ?? false);
    const current = view.open.drafts.filter(
      ({ type, period }) => type === 'USAGE' && period !== null && period.start <= now && now < period.end,
    );
    return {
      data: current.map((invoice) =>
        invoiceObject(context, { invoice, status: 'DRAFT', finalizedAt: null, regeneratedFrom: null }),
      ),
    };
  },
});

/** The ids of events that are stored already; the same id twice in a request is a mistake. */
async function knownIds(
  { core, accountId }: MetronomeContext,
  events: readonly { transaction_id?: string | undefined }[],
): Promise<Set<string>> {
  const ids = events.flatMap(({ transaction_id: id }) => (id === undefined ? [] : [id]));
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) throw invalid(`Invalid 'events': transaction_id ${twice} is there twice.`);
  if (ids.length === 0) return new Set();
  const found = await searchEvents(core.db, accountId, ids);
  return new Set(found.map(({ transactionId }) => transactionId));
}

export const previewEndpoints: readonly MetronomeEndpoint[] = [previewEvents];
