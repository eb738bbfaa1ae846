import { afterAll, beforeAll, expect, test } from 'vitest';
import { createIngest } from '../../src/metering/ingest.js';
import { startTestApi, type TestApi } from '../support/api.js';

const EVENTS = 5_000;
const CLIENTS = 8;

interface Answer {
  readonly received: number;
  readonly stored: number;
  readonly refused: number;
}

let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
  const { db, core } = api;
  Object.assign(core, { ingest: createIngest({ db, log: core.log, now: () => core.now() }) });
});
afterAll(() => api.stop());

test('the same batch sent by eight clients at once counts once, and every client gets success', async () => {
  const { id: customer } = await api.stripe.customers.create();
  const meter = await api.stripe.billing.meters.create({
    display_name: 'Calls',
    event_name: 'calls',
    default_aggregation: { formula: 'sum' },
  });
  const lines = Array.from({ length: EVENTS }, (_, index) =>
    JSON.stringify({
      event_name: 'calls',
      identifier: `event-${index}`,
      payload: { stripe_customer_id: customer, value: `${index % 7}.25` },
    }),
  );
  // Every client has another order, so that they would wait for each other in a circle if that were possible.
  const answers = await Promise.all(
    Array.from({ length: CLIENTS }, async (_, client) => {
      const turned = [...lines.slice(client * 500), ...lines.slice(0, client * 500)];
      const response = await fetch(`${api.baseUrl}/live/v1/events`, {
        method: 'POST',
        headers: { authorization: `Bearer ${api.apiKey}`, 'content-type': 'application/x-ndjson' },
        body: (client % 2 === 0 ? turned : turned.reverse()).join('\n'),
      });
      return { status: response.status, answer: (await response.json()) as Answer };
    }),
  );
  for (const { status, answer } of answers) {
    expect({ status, ...answer }).toMatchObject({ status: 200, received: EVENTS, refused: 0 });
  }
  expect(answers.reduce((sum, { answer }) => sum + answer.stored, 0)).toBe(EVENTS);
  const expected = lines.reduce((sum, _line, index) => sum + (index % 7) + 0.25, 0);
  const now = Math.floor(Date.now() / 60_000) * 60;
  const { data } = await api.stripe.billing.meters.listEventSummaries(meter.id, {
    customer,
    start_time: now - 3600,
    end_time: now + 3600,
  });
  expect(data[0]?.aggregated_value).toBe(expected);
});
