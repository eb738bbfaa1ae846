import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { requestChecksOfUsage } from '../../src/storage/customerChecks.js';
import { type Fixture, NOW, openFixture } from './fixture.js';

let fixture: Fixture;

beforeAll(async () => {
  fixture = await openFixture();
});
afterAll(() => fixture.close());

/** Until a statement waits for a row that another transaction holds. */
async function untilWaiting(): Promise<void> {
  for (;;) {
    const [row] = await fixture.db.query<{ waiting: boolean }>(
      `select exists (select from pg_stat_activity
         where datname = current_database() and wait_event_type = 'Lock') as waiting`,
    );
    if (row?.waiting === true) return;
  }
}

describe('asking for looks at customers whose usage arrives', () => {
  it('counts every request, watched or late, however many batches bring usage of the same customers at once', async () => {
    const { db, accountId } = fixture;
    const watched = await fixture.addCustomer();
    const late = await fixture.addCustomer();
    const neither = await fixture.addCustomer();
    for (const customer of [watched, late, neither]) {
      await db.query(
        `insert into customer_checks (account_id, customer_id, requests, watched) values ($1, $2, 0, $3)`,
        [accountId, customer, customer === watched],
      );
    }
    // Only the mark is of interest here, not the contract.
    await db.query(
      'alter table contract_late_usage drop constraint contract_late_usage_account_id_contract_id_fkey',
    );
    await db.query(
      `insert into contract_late_usage (account_id, contract_id, customer_id, closing_through)
       values ($1, $2, $3, $4)`,
      [accountId, randomUUID(), late, new Date(NOW)],
    );
    const arrivals = [watched, late, neither].map((key) => ({ accountId, key, earliest: NOW - 1 }));
    const batches = 20;
    for (let batch = 0; batch < batches; batch += 1) {
      const waiting = await db.transaction(async (tx) => {
        // As a look that ends: the batch has to wait for rows that have changed when it gets them.
        await tx.query('update customer_checks set looked_at = clock_timestamp() where account_id = $1', [
          accountId,
        ]);
        const asking = db.transaction((other) => requestChecksOfUsage(other, arrivals));
        await untilWaiting();
        return { asking };
      });
      await waiting.asking;
    }
    const rows = await db.query<{ customer: string; requests: bigint }>(
      'select customer_id as customer, requests from customer_checks where account_id = $1',
      [accountId],
    );
    const requests = Object.fromEntries(rows.map((row) => [row.customer, row.requests]));
    expect(requests).toEqual({ [watched]: BigInt(batches), [late]: BigInt(batches), [neither]: 0n });
    const [mark] = await db.query<{ noticed: bigint }>(
      'select noticed from contract_late_usage where account_id = $1',
      [accountId],
    );
    expect(mark).toEqual({ noticed: BigInt(batches) });
  });
});
