import pg from 'pg';

/** Anything that runs SQL: the pool, or one open transaction. Storage functions take this as their first argument. */
export interface Queryable {
  query<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** A statement prepared once per connection; for hot paths. The name must be unique to the text. */
  queryNamed<Row extends object>(name: string, text: string, values: readonly unknown[]): Promise<Row[]>;
}

/** One open transaction (READ COMMITTED unless said otherwise). */
export interface Transaction extends Queryable {
  readonly inTransaction: true;
  /** Runs once the transaction has committed; never when it rolls back. What it starts must be repeatable. */
  afterCommit(action: () => Promise<void> | void): void;
}

export interface Database extends Queryable {
  readonly url: string;
  /**
   * Runs `work` in a transaction: commits its result, rolls back and rethrows its error. A transaction that lost to
   * another (serialisation failure, deadlock) is run again, at most three times, so `work` must have no other effects.
   */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** A client of its own for LISTEN, COPY or session locks. The caller releases it. */
  connect(): Promise<pg.PoolClient>;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  maxConnections?: number;
  onError?: (error: Error) => void;
}

const INT8 = 20;
const NUMERIC = 1700;
const TIMESTAMPTZ = 1184;
const TRANSACTION_ATTEMPTS_MAX = 3;
const SERIALIZATION_FAILURE = '40001';
const DEADLOCK_DETECTED = '40P01';

/**
 * Column types as the code wants them: int8 is a bigint, numeric stays the exact text, timestamptz is an instant in
 * whole epoch milliseconds.
 */
const types = new pg.TypeOverrides();
types.setTypeParser(INT8, (text) => BigInt(text));
types.setTypeParser(NUMERIC, (text) => text);
types.setTypeParser(TIMESTAMPTZ, parseTimestamp);

function parseTimestamp(text: string): number {
  const millis = Date.parse(text.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00'));
  if (Number.isNaN(millis)) throw new Error(`timestamp out of range: ${text}`);
  return millis;
}

/** Opens a pool. The first query connects; a server that goes away is reported to `onError` and reconnected to. */
export function openDatabase(url: string, options: DatabaseOptions = {}): Database {
  const pool = new pg.Pool({
    connectionString: url,
    max: options.maxConnections ?? 12,
    types,
    options: '-c timezone=UTC',
    application_name: 'durabill',
  });
  pool.on('error', (error) => options.onError?.(error));
  return {
    url,
    ...queryable(pool),
    transaction: (work) => runTransaction(pool, work),
    connect: () => pool.connect(),
    close: () => pool.end(),
  };
}

function queryable(runner: pg.Pool | pg.PoolClient): Queryable {
  return {
    async query<Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
      const result = await runner.query<Row>(text, values as unknown[]);
      return result.rows;
    },
    async queryNamed<Row extends object>(
      name: string,
      text: string,
      values: readonly unknown[],
    ): Promise<Row[]> {
      const result = await runner.query<Row>({ name, text, values: values as unknown[] });
      return result.rows;
    },
  };
}

async function runTransaction<T>(pool: pg.Pool, work: (tx: Transaction) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await runOnce(pool, work);
    } catch (error) {
      if (attempt >= TRANSACTION_ATTEMPTS_MAX || !isLostRace(error)) throw error;
    }
  }
}

async function runOnce<T>(pool: pg.Pool, work: (tx: Transaction) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  const actions: (() => Promise<void> | void)[] = [];
  const tx: Transaction = {
    ...queryable(client),
    inTransaction: true,
    afterCommit: (action) => actions.push(action),
  };
  let result: T;
  let broken: Error | undefined;
  // A connection that dies between two statements says so by an event, which would end the process unheard.
  const onError = (error: Error): void => {
    broken = error;
  };
  client.on('error', onError);
  try {
    await client.query('begin');
    result = await work(tx);
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch((rollbackError: unknown) => {
      broken = rollbackError as Error;
    });
    throw error;
  } finally {
    client.off('error', onError);
    client.release(broken);
  }
  for (const action of actions) await action();
  return result;
}

/** The SQLSTATE of a database error, or undefined for any other error. */
export function sqlState(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

/** Whether an insert met a unique key, optionally the one named. */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  return (
    error instanceof pg.DatabaseError &&
    error.code === '23505' &&
    (constraint === undefined || error.constraint === constraint)
  );
}

/** Whether the database could not be asked at all: it is away, starting or stopping. It may be asked again soon. */
export function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? String(error.code) : '';
  // The driver gives a connection that broke under a statement, or between two, no code, only words.
  return (
    AWAY.some((start) => code.startsWith(start)) || BROKEN.some((words) => error.message.startsWith(words))
  );
}

/** Connection exceptions, a server that starts or stops, and a socket that nobody answers. */
const AWAY = ['08', '57P0', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'];

const BROKEN = ['Connection terminated', 'Client has encountered a connection error'];

function isLostRace(error: unknown): boolean {
  const state = sqlState(error);
  return state === SERIALIZATION_FAILURE || state === DEADLOCK_DETECTED;
}

/** An instant (epoch ms) as a query parameter for a timestamptz. */
export function timestamp(instant: number): Date;
export function timestamp(instant: number | null): Date | null;
export function timestamp(instant: number | null): Date | null {
  return instant === null ? null : new Date(instant);
}
