import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { toText } from '../../src/domain/decimal.js';
import { boundary } from '../../src/domain/period.js';
import { fastForward } from '../support/timeSkipping.js';
import { type BillingWorld, item, openWorld, tier } from './billingWorld.js';
import { record } from './histories.js';

const DAY = 86_400_000;
const HOUR = 3_600_000;
const MONTHLY = { unit: 'month', count: 1 } as const;

let world: BillingWorld;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(async () => {
  await world.close();
});

function isLeapDay(instant: number): boolean {
  return iso(instant).includes('-02-29T');
}

function iso(instant: number): string {
  return new Date(instant).toISOString();
}

describe('a subscription under native time skipping', () => {
  test('bills month ends through a leap day, each from the anchor and never sticking at the 28th', async () => {
    // Given a hybrid subscription anchored on the last day of each month.
    const meterId = await world.addMeter('api_calls');
    const flat = await world.addPrice({ unitAmount: '2000', productName: 'Platform' });
    const usage = await world.addPrice({ meterId, tiers: [tier(1000n, '0'), tier(null, '0.5')] });
    const customerId = await world.addCustomer();
    await world.startWorker();
    const ref = await world.subscribe({
      customerId,
      items: [item(flat), item(usage)],
      anchorConfig: { day_of_month: 31, hour: 0, minute: 0, second: 0 },
    });
    const [created] = await world.invoices(ref);
    const firstEnd = created?.lines[0]?.period.end ?? 0;
    const anchor = await anchorOf(ref.subscriptionId);
    // At least a year, and on past the next 29 February, whenever the test runs.
    const boundaries: number[] = [];
    for (let index = -2; boundaries.length < 13 || !boundaries.some(isLeapDay); index += 1) {
      const instant = boundary(anchor, MONTHLY, index);
      if (instant >= firstEnd) boundaries.push(instant);
    }
    // When usage arrives in every period and time passes.
    for (const [index, end] of boundaries.entries()) {
      await world.use('api_calls', customerId, String(1000 + index * 10), end - DAY);
    }
    await fastForward(world.client, world.workflowId(ref), (boundaries.at(-1) ?? 0) + 2 * HOUR);
    // Then there is one finalized invoice a period, right to the cent.
    const invoices = await world.invoices(ref);
    const cycles = invoices.filter((invoice) => invoice.billingReason === 'subscription_cycle');
    expect(cycles.map((invoice) => iso(invoice.period.end))).toEqual(boundaries.map(iso));
    expect(cycles.some((invoice) => iso(invoice.period.end).includes('-01-31T00:00:00'))).toBe(true);
    expect(cycles.every((invoice) => invoice.status === 'open')).toBe(true);
    expect(cycles.map((invoice) => invoice.total)).toEqual(
      boundaries.map((_, index) => 2000n + BigInt(index * 5)),
    );
    const numbers = invoices.map((invoice) => Number(invoice.number?.split('-')[1]));
    expect(numbers).toEqual(invoices.map((_, index) => index + 1));
    await record(world.client, world.workflowId(ref), 'subscription-year');
  }, 120_000);

  test('bills periods that passed while no worker ran, in turn, once it starts', async () => {
    const meterId = await world.addMeter('api_calls');
    const usage = await world.addPrice({ meterId, unitAmount: '1' });
    const customerId = await world.addCustomer();
    const worker = await world.startWorker();
    const ref = await world.subscribe({ customerId, items: [item(usage)] });
    const start = world.clock.now - (world.clock.now % 1000);
    const ends = [1, 2, 3].map((index) => boundary(start, MONTHLY, index));
    for (const [index, end] of ends.entries()) {
      await world.use('api_calls', customerId, String(10 * (index + 1)), end - HOUR);
    }
    // The workflow is asleep on its first period end when its worker goes away.
    await world.client.workflow.getHandle(world.workflowId(ref)).query('state');
    await worker.stop();
    const passed = fastForward(world.client, world.workflowId(ref), (ends[2] ?? 0) + 2 * HOUR);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(await world.invoices(ref)).toHaveLength(0);
    await world.startWorker();
    await passed;
    const invoices = await world.invoices(ref);
    expect(invoices.map((invoice) => iso(invoice.period.end))).toEqual(ends.map(iso));
    expect(invoices.map((invoice) => invoice.total)).toEqual([10n, 20n, 30n]);
    expect(invoices.every((invoice) => invoice.status === 'open')).toBe(true);
    await record(world.client, world.workflowId(ref), 'subscription-worker-away');
  });

  test('a workflow that wakes three periods late bills them in order of time, in one run', async () => {
    // Given a subscription that began 100 days ago and whose workflow never ran.
    const meterId = await world.addMeter('api_calls');
    const usage = await world.addPrice({ meterId, unitAmount: '1' });
    const customerId = await world.addCustomer();
    const now = world.clock.now;
    const start = now - (now % 1000) - 100 * DAY;
    world.clock.now = start;
    const ref = await world.subscribe({ customerId, items: [item(usage)] });
    const ends = [1, 2, 3].map((index) => boundary(start, MONTHLY, index));
    for (const [index, end] of ends.entries()) {
      await world.use('api_calls', customerId, String(index + 1), end);
    }
    world.clock.now = now;
    await world.startWorker();
    await expect.poll(async () => (await world.invoices(ref)).length, { timeout: 20_000 }).toBe(3);
    await expect
      .poll(async () => (await world.invoices(ref)).map((invoice) => invoice.status), { timeout: 20_000 })
      .toEqual(['paid', 'open', 'open']);
    const invoices = await world.invoices(ref);
    // An event exactly on a boundary belongs to the later period.
    expect(invoices.map((invoice) => invoice.total)).toEqual([0n, 1n, 2n]);
    expect(invoices.map((invoice) => iso(invoice.createdAt))).toEqual(ends.map(iso));
    expect(invoices.map((invoice) => invoice.finalizedAt)).toEqual(ends.map((end) => end + HOUR));
  });

  test('bills usage that arrives after finalization as a difference that names its period', async () => {
    const meterId = await world.addMeter('api_calls');
    const usage = await world.addPrice({ meterId, tiers: [tier(10n, '100'), tier(null, '50')] });
    const customerId = await world.addCustomer();
    await world.startWorker();
    const ref = await world.subscribe({ customerId, items: [item(usage)] });
    const start = world.clock.now - (world.clock.now % 1000);
    const [first = 0, second = 0, third = 0] = [1, 2, 3].map((index) => boundary(start, MONTHLY, index));
    await world.use('api_calls', customerId, '8', first - HOUR);
    await fastForward(world.client, world.workflowId(ref), first + 2 * HOUR);
    // Eight were billed; five more of the first period come two days later: 2 at 100 and 3 at 50.
    await world.use('api_calls', customerId, '5', first - DAY);
    await fastForward(world.client, world.workflowId(ref), second + 2 * HOUR);
    await fastForward(world.client, world.workflowId(ref), third + 2 * HOUR);
    const invoices = await world.invoices(ref);
    const late = invoices.map((invoice) =>
      invoice.lines
        .filter((line) => line.kind === 'late_usage')
        .map((line) => ({ quantity: toText(line.quantity), amount: line.amount, start: line.period.start })),
    );
    expect(late).toEqual([[], [{ quantity: '5', amount: 350n, start }], []]);
    expect(invoices.map((invoice) => invoice.total)).toEqual([800n, 350n, 0n]);
  });

  test('cancels at period end: the last invoice bills the usage, nothing is billed in advance, the workflow ends', async () => {
    const meterId = await world.addMeter('api_calls');
    const usage = await world.addPrice({ meterId, unitAmount: '3' });
    const flat = await world.addPrice({ unitAmount: '500' });
    const customerId = await world.addCustomer();
    await world.startWorker();
    const ref = await world.subscribe({ customerId, items: [item(flat), item(usage)] });
    const end = boundary(world.clock.now - (world.clock.now % 1000), MONTHLY, 1);
    await world.use('api_calls', customerId, '7', end - DAY);
    const change = { type: 'cancel_at_period_end', cancelAtPeriodEnd: true, details: {} } as const;
    await world.gateway.changeSubscription(ref, change, 'change-1');
    await world.gateway.changeSubscription(ref, change, 'change-1');
    await fastForward(world.client, world.workflowId(ref), end + 3 * HOUR);
    await world.client.workflow.getHandle(world.workflowId(ref)).result();
    const invoices = await world.invoices(ref);
    expect(invoices.map((invoice) => invoice.total)).toEqual([500n, 21n]);
    const [row] = await world.db.query<{ status: string; ended_at: number }>(
      'select status, ended_at from subscriptions where id = $1',
      [ref.subscriptionId],
    );
    expect(row).toEqual({ status: 'canceled', ended_at: end });
    await record(world.client, world.workflowId(ref), 'subscription-cancel');
  });
});

async function anchorOf(subscriptionId: string): Promise<number> {
  const [row] = await world.db.query<{ anchor: number }>('select anchor from subscriptions where id = $1', [
    subscriptionId,
  ]);
  return row?.anchor ?? 0;
}
