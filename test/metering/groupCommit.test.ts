import { DatabaseError } from 'pg';
import { describe, expect, it } from 'vitest';
import { invalid } from '../../src/domain/errors.js';
import type { EventOutcome, IncomingEvent } from '../../src/metering/event.js';
import { GroupCommit, type GroupCommitDeps } from '../../src/metering/groupCommit.js';
import type { PreparedEvent } from '../../src/metering/prepare.js';
import { event, type LogEntry, recordingLog, summary } from './fixture.js';

/** The queueing alone, over a `write` of the test's own. */
function group(
  write: (events: readonly PreparedEvent[]) => Promise<EventOutcome[]>,
  overrides: Partial<GroupCommitDeps> = {},
) {
  const logged: LogEntry[] = [];
  const commit = new GroupCommit({
    log: recordingLog(logged),
    write,
    customerOf: (_accountId, { payload }) => payload['stripe_customer_id'] ?? '',
    lanes: 2,
    batchEventsMax: 100,
    ...overrides,
  });
  return { commit, logged };
}

function stored(events: readonly PreparedEvent[]): EventOutcome[] {
  return events.map(() => ({ status: 'stored' }) as EventOutcome);
}

function dataError(): DatabaseError {
  const error = new DatabaseError('invalid input', 1, 'error');
  error.code = '22P02';
  return error;
}

const eventsOf = (count: number, customers = 10): IncomingEvent[] =>
  Array.from({ length: count }, (_, i) => event('m', `cus_${i % customers}`, String(i)));
const valueOf = (prepared: PreparedEvent) => prepared.event.payload['value'] ?? '';
const isPoison = (prepared: PreparedEvent) => valueOf(prepared) === '777';

describe('group commit', () => {
  it('puts what arrives while it writes into the next transaction', async () => {
    const sizes: number[] = [];
    const { commit } = group(
      async (events) => {
        sizes.push(events.length);
        await new Promise((resolve) => setTimeout(resolve, 10));
        return stored(events);
      },
      { lanes: 1 },
    );
    const first = commit.store('acct', eventsOf(1));
    await new Promise((resolve) => setTimeout(resolve, 2));
    await Promise.all([first, ...Array.from({ length: 30 }, () => commit.store('acct', eventsOf(2)))]);
    expect(sizes).toEqual([1, 60]);
  });

  it('deals a large call out by customer, in order, and answers in the places of the call', async () => {
    const seen = new Map<string, string[]>();
    const { commit } = group((events) => {
      for (const prepared of events) {
        const customer = prepared.event.payload['stripe_customer_id'] ?? '';
        seen.set(customer, [...(seen.get(customer) ?? []), valueOf(prepared)]);
      }
      return Promise.resolve(
        events.map((prepared) => ({ status: 'duplicate' as const, identifier: valueOf(prepared) })),
      );
    });
    const outcomes = await commit.store('acct', eventsOf(1_000));
    expect(outcomes.map((outcome) => ('identifier' in outcome ? outcome.identifier : ''))).toEqual(
      eventsOf(1_000).map((one) => one.payload['value']),
    );
    for (const values of seen.values())
      expect(values).toEqual([...values].sort((a, b) => Number(a) - Number(b)));
  });

  it('refuses the one event that cannot be stored, and stores all others', async () => {
    const { commit, logged } = group((events) => {
      return events.some(isPoison) ? Promise.reject(dataError()) : Promise.resolve(stored(events));
    });
    const outcomes = await commit.store('acct', eventsOf(1_000));
    expect(outcomes.map(summary).filter((one) => one === 'stored')).toHaveLength(999);
    expect(outcomes[777]).toMatchObject({ status: 'refused', code: 'parameter_invalid' });
    expect(logged.map((entry) => entry.message)).toEqual(['a meter event cannot be stored']);
  });

  it('refuses a request whole where that is the rule', async () => {
    const { commit } = group((events) => {
      const poison = events.some(isPoison);
      return poison ? Promise.reject(invalid('too much', { code: 'cap' })) : Promise.resolve(stored(events));
    });
    const sent = { call: Symbol('one call') } as unknown as NonNullable<IncomingEvent['sent']>;
    const whole = eventsOf(3).map((one) => ({ ...one, sent }));
    whole.push({ ...event('m', 'cus_1', '777'), sent });
    const [mine, others] = await Promise.all([
      commit.store('acct', whole),
      commit.store('acct', eventsOf(5)),
    ]);
    expect(mine.map(summary)).toEqual(['cap', 'cap', 'cap', 'cap']);
    expect(others.map(summary)).toEqual(Array(5).fill('stored'));
  });

  it('rejects a call of which nothing could be stored', async () => {
    const { commit, logged } = group(() => Promise.reject(new Error('connection lost')));
    await expect(commit.store('acct', eventsOf(600))).rejects.toMatchObject({
      kind: 'unavailable',
      retry: true,
    });
    expect(logged.length).toBeGreaterThan(0);
    expect(commit.waiting).toBe(0);
  });

  it('answers for each event when a part of the call could not be stored', async () => {
    let batches = 0;
    const { commit } = group((events) => {
      batches += 1;
      return batches === 3 ? Promise.reject(new Error('connection lost')) : Promise.resolve(stored(events));
    });
    const outcomes = await commit.store('acct', eventsOf(1_000));
    const lost = outcomes.filter((outcome) => outcome.status === 'refused');
    expect(lost.length).toBeGreaterThan(0);
    expect(lost.length).toBeLessThanOrEqual(100);
    expect(new Set(lost.map(summary))).toEqual(new Set(['unavailable']));
    expect(outcomes.filter((outcome) => outcome.status === 'stored')).toHaveLength(1_000 - lost.length);
  });

  it('drains', async () => {
    const { commit } = group(async (events) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return stored(events);
    });
    let answered = 0;
    for (let i = 0; i < 20; i += 1) void commit.store('acct', eventsOf(300)).then(() => (answered += 1));
    await commit.drain();
    await Promise.resolve();
    expect(answered).toBe(20);
    await commit.drain();
    await expect(commit.store('acct', [])).resolves.toEqual([]);
  });
});
