import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestEngine } from '../support/engine.js';
import { refusedUnwritten } from './fingerprints.js';
import { advance, finalTotals, segment, send, startWorld, storageContract, usageDrafts } from './world.js';

const OCTOBER = '2024-10-01T00:00:00Z';
const JANUARY = '2025-01-01T00:00:00Z';

let engine: TestEngine;
let fixed: string;

beforeAll(async () => {
  ({ engine, fixed } = await startWorld());
});
afterAll(() => engine.stop());

/** Storage at $1.00 to the end of the year, $50.00 on the twentieth of each month, and 3 used in October. */
async function sold() {
  const made = await storageContract(engine, 100, {
    ending_before: JANUARY,
    scheduled_charges: [
      {
        product_id: fixed,
        name: 'Support',
        schedule: {
          schedule_items: ['2024-10-20', '2024-11-20', '2024-12-20'].map((date) => ({
            timestamp: `${date}T00:00:00Z`,
            unit_price: 5000,
            quantity: 1,
          })),
        },
      },
    ],
  });
  await send(engine, made.id, made.eventType, [{ at: '2024-10-14T00:00:00Z', properties: { amount: '3' } }]);
  return made;
}

const move = (body: { customer_id: string; invoice_id: string; issue_date: string }) =>
  engine.metronome.post<{ data: { id: string } }>('/v1/contracts/updateInvoiceIssueDate', { body });

/** The scheduled drafts as [id, date], the earliest first. */
async function scheduled(customerId: string): Promise<[string, string | undefined][]> {
  const { data } = await engine.metronome.v1.customers.invoices.list({
    customer_id: customerId,
    status: 'DRAFT',
    type: 'SCHEDULED',
  });
  return data.map(({ id, issued_at: at }) => [id, at?.slice(0, 10)]);
}

describe('the issue date of a draft', () => {
  it('moves one scheduled invoice, later or earlier, and leaves the next ones where they are', async () => {
    const { id, clockId } = await sold();
    const ids = (await scheduled(id)).map(([one]) => one);
    const [first = '', second = '', third = ''] = ids;
    expect(await move({ customer_id: id, invoice_id: first, issue_date: '2024-10-25T00:00:00Z' })).toEqual({
      data: { id: first },
    });
    await move({ customer_id: id, invoice_id: third, issue_date: '2024-12-10T00:00:00Z' });
    expect(await scheduled(id)).toEqual([
      [first, '2024-10-25'],
      [second, '2024-11-20'],
      [third, '2024-12-10'],
    ]);
    await advance(engine, clockId, '2024-10-24T00:00:00Z');
    expect(await finalTotals(engine, id)).toEqual([]);
    await move({ customer_id: id, invoice_id: first, issue_date: '2024-10-28T00:00:00Z' });
    await advance(engine, clockId, '2024-10-27T00:00:00Z');
    expect(await finalTotals(engine, id)).toEqual([]);
    await advance(engine, clockId, '2024-12-11T00:00:00Z');
    expect(await finalTotals(engine, id, 'SCHEDULED')).toEqual([
      ['2024-10-28', 5000],
      ['2024-11-20', 5000],
      ['2024-12-10', 5000],
    ]);
    expect(await scheduled(id)).toEqual([]);
  });

  it('in the past makes the invoice final at once; a charge that joins its old date stays there', async () => {
    const made = await sold();
    const first = (await scheduled(made.id))[0]?.[0] ?? '';
    await move({ customer_id: made.id, invoice_id: first, issue_date: '2024-11-02T00:00:00Z' });
    await engine.metronome.v2.contracts.edit({
      customer_id: made.id,
      contract_id: made.contractId,
      add_scheduled_charges: [
        {
          product_id: fixed,
          name: 'Extra',
          schedule: { schedule_items: [{ timestamp: '2024-10-20T00:00:00Z', unit_price: 7, quantity: 1 }] },
        },
      ],
    });
    await advance(engine, made.clockId, '2024-10-22T00:00:00Z');
    expect(await finalTotals(engine, made.id)).toEqual([['2024-10-20', 7]]);
    await move({ customer_id: made.id, invoice_id: first, issue_date: '2024-10-21T00:00:00Z' });
    await advance(engine, made.clockId, '2024-10-23T00:00:00Z');
    expect(await finalTotals(engine, made.id)).toEqual([
      ['2024-10-20', 7],
      ['2024-10-21', 5000],
    ]);
  });

  it('moves a usage statement, and the true-up that waits for it', async () => {
    const made = await storageContract(engine, 100, {
      ending_before: JANUARY,
      commits: [
        {
          product_id: fixed,
          name: 'Minimum',
          type: 'POSTPAID',
          access_schedule: segment(1000, OCTOBER, '2024-11-01T00:00:00Z'),
          invoice_schedule: { schedule_items: [{ timestamp: '2024-11-01T00:00:00Z', amount: 1000 }] },
        },
      ],
    });
    const at = '2024-10-14T00:00:00Z';
    await send(engine, made.id, made.eventType, [{ at, properties: { amount: '3' } }]);
    const [october] = await usageDrafts(engine, made.id);
    const moved = { customer_id: made.id, invoice_id: october?.id ?? '', issue_date: '2024-11-05T00:00:00Z' };
    await move(moved);
    await advance(engine, made.clockId, '2024-11-04T00:00:00Z');
    expect(await finalTotals(engine, made.id)).toEqual([]);
    await advance(engine, made.clockId, '2024-11-06T00:00:00Z');
    // 300 of 1,000 were used: 700 are missing.
    expect(await finalTotals(engine, made.id)).toEqual([
      ['2024-11-01', 700],
      ['2024-11-05', 300],
    ]);
    await advance(engine, made.clockId, '2024-12-03T00:00:00Z');
    expect(await finalTotals(engine, made.id, 'USAGE')).toEqual([
      ['2024-11-05', 300],
      ['2024-12-02', 0],
    ]);
    await refusedUnwritten(engine.db, () => move(moved), 400, /invoice_id.*no draft/);
  });

  it('is not after the contract, nor before its usage, and is of a draft', async () => {
    const { id } = await sold();
    const other = await sold();
    const first = (await scheduled(id))[0]?.[0] ?? '';
    const [october] = await usageDrafts(engine, id);
    const body = { customer_id: id, invoice_id: first, issue_date: '2024-11-01T00:00:00Z' };
    const late = { ...body, issue_date: '2025-01-01T00:00:01Z' };
    await refusedUnwritten(engine.db, () => move(late), 400, /issue_date.*contract's end/);
    const early = { ...body, invoice_id: october?.id ?? '', issue_date: '2024-10-31T00:00:00Z' };
    await refusedUnwritten(engine.db, () => move(early), 400, /issue_date.*period/);
    await refusedUnwritten(engine.db, () => move({ ...body, customer_id: other.id }), 404, /invoice/);
    await refusedUnwritten(engine.db, () => move({ ...body, customer_id: 'nobody' }), 404, /customer/);
  });
});
