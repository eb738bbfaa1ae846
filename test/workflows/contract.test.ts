import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { contractWorkflowId } from '../../src/temporal/names.js';
import { eventually } from '../live/world.js';
import {
  advance,
  contractAt,
  fixedProduct,
  hour,
  monthStart,
  rateCard,
  send,
  sumProduct,
  unlimitedClocks,
} from '../metronome/world.js';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { fastForward } from '../support/timeSkipping.js';
import { record } from './histories.js';

let engine: TestEngine;

beforeAll(async () => {
  engine = await startTestEngine();
  await unlimitedClocks(engine);
});
afterAll(() => engine.stop());

const workflowOf = (contractId: string): string =>
  contractWorkflowId({ accountId: engine.accountId, contractId });

/** The final invoices of a customer as [type, day it was issued, total], in that order. */
async function finals(customerId: string): Promise<[string, string, number][]> {
  const invoices = [];
  const query = { customer_id: customerId, status: 'FINALIZED' };
  for await (const invoice of engine.metronome.v1.customers.invoices.list(query)) invoices.push(invoice);
  const rows = invoices.map(({ type, issued_at: issued, total }): [string, string, number] => [
    type,
    (issued ?? '').slice(0, 10),
    total,
  ]);
  return rows.sort(([type, at], [otherType, otherAt]) =>
    `${at} ${type}`.localeCompare(`${otherAt} ${otherType}`),
  );
}

/** Charges of one product on these dates. */
function charges(product_id: string, items: { timestamp: string; amount: number }[]) {
  return [
    {
      product_id,
      schedule: {
        schedule_items: items.map(({ timestamp, amount }) => ({
          timestamp,
          unit_price: amount,
          quantity: 1,
        })),
      },
    },
  ];
}

/** A product at a dollar a unit on a card, and a fixed one. */
async function offer(name: string) {
  const { metronome } = engine;
  const { productId, eventType } = await sumProduct(metronome, name);
  const card = await rateCard(metronome, [{ product_id: productId, rate_type: 'FLAT', price: 100 }]);
  return { card, eventType, fixed: await fixedProduct(metronome, 'Fees') };
}

describe('the workflow of a contract', () => {
  test('on a test clock: what is past at once, then statements, edit, recharge and end', async () => {
    // Given a contract that began ten weeks before the customer's now, with two charges that are past.
    const { metronome } = engine;
    const { card, eventType, fixed } = await offer('Clocked');
    const customer = await contractAt(engine, '2026-01-10T00:00:00Z', {
      starting_at: '2025-11-01T00:00:00Z',
      rate_card_id: card,
      commits: [
        {
          type: 'PREPAID',
          product_id: fixed,
          access_schedule: {
            schedule_items: [
              { amount: 5000, starting_at: '2025-11-01T00:00:00Z', ending_before: '2027-01-01T00:00:00Z' },
            ],
          },
        },
      ],
      scheduled_charges: charges(fixed, [
        { timestamp: '2025-11-15T00:00:00Z', amount: 1100 },
        { timestamp: '2025-12-20T00:00:00Z', amount: 1200 },
        { timestamp: '2026-03-05T00:00:00Z', amount: 1300 },
      ]),
      prepaid_balance_threshold_configuration: {
        is_enabled: true,
        threshold_amount: 1000,
        recharge_to_amount: 2500,
        commit: { product_id: fixed, name: 'Recharge' },
        payment_gate_config: { payment_gate_type: 'NONE' },
      },
    });
    const past: [string, string, number][] = [
      ['SCHEDULED', '2025-11-15', 1100],
      ['USAGE', '2025-12-02', 0],
      ['SCHEDULED', '2025-12-20', 1200],
      ['USAGE', '2026-01-02', 0],
    ];
    await eventually(
      () => finals(customer.id),
      (all) => all.length >= past.length,
    );
    expect(await finals(customer.id)).toEqual(past);
    // When usage leaves less than the threshold, an edit adds a charge and the clock moves twice.
    const use = (at: string, amount: string) =>
      send(engine, customer.stripeId, eventType, [{ at, properties: { amount } }]);
    await use('2026-01-09T00:00:00Z', '42');
    await eventually(
      () => finals(customer.id),
      (all) => all.length > past.length,
    );
    await metronome.v2.contracts.edit({
      customer_id: customer.id,
      contract_id: customer.contractId,
      add_scheduled_charges: charges(fixed, [{ timestamp: '2026-02-10T00:00:00Z', amount: 1400 }]),
    });
    await advance(engine, customer.clockId, '2026-02-12T00:00:00Z');
    await use('2026-02-11T00:00:00Z', '30');
    await eventually(
      () => finals(customer.id),
      (all) => all.some(([, at]) => at === '2026-02-12'),
    );
    await advance(engine, customer.clockId, '2026-03-20T00:00:00Z');
    await metronome.v1.contracts.updateEndDate({
      customer_id: customer.id,
      contract_id: customer.contractId,
      ending_before: '2026-04-01T00:00:00Z',
    });
    await advance(engine, customer.clockId, '2026-04-03T00:00:00Z');
    // Then each has its invoice. 800 cents were left, so 1,700 were bought. Of the next 3,000 the balance paid 2,500,
    // and the 2,500 bought then are for usage from then on: 500 are owed.
    await engine.temporal.workflow.getHandle(workflowOf(customer.contractId)).result();
    expect(await finals(customer.id)).toEqual([
      ...past,
      ['SCHEDULED', '2026-01-10', 1700],
      ['USAGE', '2026-02-02', 0],
      ['SCHEDULED', '2026-02-10', 1400],
      ['SCHEDULED', '2026-02-12', 2500],
      ['USAGE', '2026-03-02', 500],
      ['SCHEDULED', '2026-03-05', 1300],
      ['USAGE', '2026-04-02', 0],
    ]);
    await record(engine.temporal, workflowOf(customer.contractId), 'contract-clock');
  }, 120_000);

  test('on wall time: wakes by its timer for each statement and charge, an edit moves the timer', async () => {
    const { metronome } = engine;
    const { card, eventType, fixed } = await offer('Walled');
    const { data: customer } = await metronome.v1.customers.create({ name: 'Walled' });
    const { data: contract } = await metronome.v1.contracts.create({
      customer_id: customer.id,
      starting_at: monthStart(),
      rate_card_id: card,
      scheduled_charges: charges(fixed, [{ timestamp: monthStart(4, 1), amount: 900 }]),
    });
    const now = new Date().toISOString();
    await send(engine, customer.id, eventType, [{ at: now, properties: { amount: '7' } }]);
    const workflowId = workflowOf(contract.id);
    const until = (at: string) => fastForward(engine.temporal, workflowId, Date.parse(at) + hour);
    await until(monthStart(1, 1));
    await metronome.v2.contracts.edit({
      customer_id: customer.id,
      contract_id: contract.id,
      add_scheduled_charges: charges(fixed, [{ timestamp: monthStart(2, 1), amount: 800 }]),
      update_contract_end_date: monthStart(0, 3),
    });
    await until(monthStart(3, 1));
    await until(monthStart(2, 3));
    await engine.temporal.workflow.getHandle(workflowId).result();
    const date = (offset: number, months: number) => monthStart(offset, months).slice(0, 10);
    expect(await finals(customer.id)).toEqual([
      ['USAGE', date(1, 1), 700],
      ['SCHEDULED', date(2, 1), 800],
      ['SCHEDULED', date(4, 1), 900],
      ['USAGE', date(1, 2), 0],
      ['USAGE', date(1, 3), 0],
    ]);
    await record(engine.temporal, workflowId, 'contract-wall-time');
  }, 120_000);

  test('goes on in a new run once it has done many steps', async () => {
    // Given weekly statements of ten years that are all past: more than a run does.
    const { card } = await offer('Long');
    const customer = await contractAt(engine, '2026-01-10T00:00:00Z', {
      starting_at: '2016-01-01T00:00:00Z',
      rate_card_id: card,
      usage_statement_schedule: { frequency: 'WEEKLY' },
    });
    const workflow = engine.temporal.workflow.getHandle(workflowOf(customer.contractId));
    const { runId } = await workflow.describe();
    const lastRun = async () => (await workflow.describe()).runId;
    // Then they become final in one run, and the next one waits for the statement that is open.
    await eventually(lastRun, (id) => id !== runId, 60_000);
    const weeks = Math.floor((Date.UTC(2026, 0, 9) - Date.UTC(2016, 0, 1)) / (7 * 24 * hour));
    const statements = await finals(customer.id);
    expect(weeks).toBeGreaterThan(500);
    expect(statements).toHaveLength(weeks);
    await advance(engine, customer.clockId, '2026-01-17T00:00:00Z');
    expect(await finals(customer.id)).toHaveLength(statements.length + 1);
    await record(engine.temporal, workflowOf(customer.contractId), 'contract-continued', runId);
  }, 120_000);
});
