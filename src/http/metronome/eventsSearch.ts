import { stableId } from '../../billing/contracts/ids.js';
import { matchesFilters } from '../../domain/contract/metric.js';
import type { JsonObject, JsonValue } from '../../json.js';
import { type FoundEvent, searchEvents } from '../../metering/metrics/search.js';
import { type BillableMetricRecord, loadMetrics } from '../../storage/billableMetrics.js';
import { findCustomerByAnyId, type MetronomeCustomer } from '../../storage/ingestAliases.js';
import { metricObject } from './billableMetrics.js';
import { type MetronomeEndpoint, metronomeEndpoint } from './endpoint.js';
import { list, object, text } from './params.js';
import { rfc3339 } from './render.js';

const IDS_MAX = 100;

export const eventsSearchEndpoints: readonly MetronomeEndpoint[] = [
  metronomeEndpoint({
    method: 'POST',
    path: '/v1/events/search',
    transactional: false,
    body: object({ transactionIds: list(text({ max: 128 }), { min: 1, max: IDS_MAX }) }),
    async handle({ core, accountId, q }, { transactionIds }) {
      const events = await searchEvents(core.db, accountId, [...new Set(transactionIds)]);
      const metrics = await loadMetrics(q, accountId);
      const customers = new Map<string, MetronomeCustomer | null>();
      for (const { customerKey } of events) {
        if (customers.has(customerKey)) continue;
        customers.set(customerKey, await findCustomerByAnyId(q, accountId, customerKey));
      }
      return events.map((found) =>
        eventObject(accountId, found, customers.get(found.customerKey) ?? null, metrics),
      );
    },
  }),
];

/** An event as it was sent, with the customer and the metrics that it counts for now. Copies are not kept. */
function eventObject(
  accountId: string,
  { transactionId, customerKey, event, arrivedAt }: FoundEvent,
  customer: MetronomeCustomer | null,
  metrics: readonly BillableMetricRecord[],
): JsonObject {
  return {
    id: stableId(accountId, `event/${transactionId}`),
    transaction_id: transactionId,
    customer_id: customerKey,
    event_type: event.eventType,
    timestamp: rfc3339(event.timestamp),
    properties: event.properties as JsonValue,
    is_duplicate: false,
    processed_at: rfc3339(arrivedAt),
    matched_customer: customer === null ? undefined : { id: customer.uuid, name: customer.name ?? '' },
    matched_billable_metrics: metrics.filter((metric) => matchesFilters(metric, event)).map(metricObject),
  };
}
