import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestEngine } from '../support/engine.js';
import { refusedUnwritten } from './fingerprints.js';
import { advance, finalTotals, segment, send, startWorld, storageContract } from './world.js';

const OCTOBER = '2024-10-01T00:00:00Z';
const NOVEMBER = '2024-11-01T00:00:00Z';
const LATER = '2024-11-05T00:00:00Z';

let engine: TestEngine;
let fixed: string;

beforeAll(async () => {
  ({ engine, fixed } = await startWorld());
});
afterAll(() => engine.stop());

/** Storage at $1.00, $10.00 promised for October, and $4.00 used of it. */
async function promised() {
  const made = await storageContract(engine, 100, {
    ending_before: NOVEMBER,
    commits: [
      {
        product_id: fixed,
        name: 'Minimum',
        type: 'POSTPAID',
        access_schedule: segment(1000, OCTOBER, NOVEMBER),
        invoice_schedule: { schedule_items: [{ timestamp: NOVEMBER, amount: 1000 }] },
      },
      {
        product_id: fixed,
        name: 'Prepaid',
        type: 'PREPAID',
        priority: 2,
        access_schedule: segment(5, OCTOBER, '2024-10-02T00:00:00Z'),
      },
    ],
  });
  await send(engine, made.id, made.eventType, [{ at: '2024-10-14T00:00:00Z', properties: { amount: '4' } }]);
  const balances = await engine.metronome.v1.contracts.listBalances({
    customer_id: made.id,
    include_contract_balances: true,
  });
  const idOf = (name: string) => balances.data.find((one) => one.name === name)?.id ?? '';
  return { ...made, commitId: idOf('Minimum'), prepaidId: idOf('Prepaid') };
}

const disable = (body: { customer_id: string; contract_id: string; commit_id: string }) =>
  engine.metronome.post<{ data: { id: string } }>('/v1/contracts/commits/disableTrueup', { body });

async function ledger(customerId: string, id: string): Promise<[string, number][]> {
  const { data } = await engine.metronome.v1.contracts.listBalances({
    customer_id: customerId,
    id,
    include_ledgers: true,
    include_contract_balances: true,
  });
  const entries = (data[0]?.ledger ?? []) as { type: string; amount: number }[];
  return entries.map(({ type, amount }) => [type, amount]);
}

describe('the true-up of a postpaid commit', () => {
  it('is dropped when it is disabled, and what is missing expires', async () => {
    const [one, other] = [await promised(), await promised()];
    const body = { customer_id: one.id, contract_id: one.contractId, commit_id: one.commitId };
    expect(await disable(body)).toEqual({ data: { id: one.commitId } });
    expect(await disable(body)).toEqual({ data: { id: one.commitId } });
    for (const { clockId } of [one, other]) await advance(engine, clockId, LATER);
    // The usage of 400 either way; 1,000 less 400 only where it was left on.
    expect(await finalTotals(engine, other.id)).toEqual([
      ['2024-11-01', 600],
      ['2024-11-02', 400],
    ]);
    expect(await finalTotals(engine, one.id)).toEqual([['2024-11-02', 400]]);
    expect(await ledger(one.id, one.commitId)).toEqual([
      ['POSTPAID_COMMIT_INITIAL_BALANCE', 1000],
      ['POSTPAID_COMMIT_AUTOMATED_INVOICE_DEDUCTION', -400],
      ['POSTPAID_COMMIT_EXPIRATION', -600],
    ]);
    const drafts = await engine.metronome.v1.customers.invoices.list({
      customer_id: one.id,
      status: 'DRAFT',
    });
    expect(drafts.data).toEqual([]);
    const invoiced = { customer_id: other.id, contract_id: other.contractId, commit_id: other.commitId };
    await refusedUnwritten(engine.db, () => disable(invoiced), 400, /commit_id.*invoiced/);
  });

  it('is that of a postpaid commit of this contract', async () => {
    const made = await promised();
    const elsewhere = await promised();
    const body = { customer_id: made.id, contract_id: made.contractId, commit_id: made.commitId };
    const prepaid = { ...body, commit_id: made.prepaidId };
    await refusedUnwritten(engine.db, () => disable(prepaid), 400, /commit_id.*postpaid/);
    const foreign = { ...body, contract_id: elsewhere.contractId };
    await refusedUnwritten(engine.db, () => disable(foreign), 404, /contract/);
    const unknown = { ...body, commit_id: elsewhere.commitId };
    await refusedUnwritten(engine.db, () => disable(unknown), 404, /commit/);
  });
});
