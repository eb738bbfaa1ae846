import { randomBytes } from 'node:crypto';
import pg from 'pg';
import type { JobResult, PostgresJob } from '../client/jobs.js';
import { latenciesOf } from '../stats.js';

const TABLE = 'bench_rows';
const CREATE = `create table ${TABLE} (
  account_id text collate "C" not null,
  identifier text collate "C" not null,
  customer_id text collate "C" not null,
  event_time timestamptz not null,
  value numeric not null,
  payload json not null,
  primary key (account_id, identifier)
)`;
const INSERT_MANY = `insert into ${TABLE}
  select * from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::numeric[], $6::json[])`;
const INSERT_ONE = `insert into ${TABLE} values ($1, $2, $3, $4, $5, $6) on conflict do nothing`;
const ROLLUP_TABLE = 'bench_rollups';
const CREATE_ROLLUP = `create table ${ROLLUP_TABLE} (
  customer_id text collate "C" not null,
  hour timestamptz not null,
  count bigint not null,
  total numeric not null,
  primary key (customer_id, hour)
)`;
const ADD_UP = `insert into ${ROLLUP_TABLE} as r values ($1, date_trunc('hour', $2::timestamptz), 1, $3)
  on conflict (customer_id, hour) do update set count = r.count + 1, total = r.total + excluded.total`;
const ACCOUNT = 'acct_1QbenchBaseline00';
const CUSTOMERS = 100;

/**
 * What the same Postgres does with the same rows and the same unique key, without an engine, a rollup or an answer for
 * each event: `batch` rows a statement from one connection is the ceiling, one row a transaction the obvious design, and
 * with a rollup it does what a meter must do at the least.
 */
export async function runPostgresJob(job: PostgresJob): Promise<JobResult> {
  const clients = await Promise.all(Array.from({ length: job.connections }, () => connected(job.url)));
  const [first] = clients;
  if (first === undefined) throw new Error('no connection');
  await first.query(`drop table if exists ${TABLE}, ${ROLLUP_TABLE}`);
  await first.query(CREATE);
  await first.query(CREATE_ROLLUP);
  const millis: number[] = [];
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  const end = start + job.seconds * 1000;
  const write = async (client: pg.Client): Promise<void> => {
    const next = job.batch === 1 ? singleRows() : batches(job.batch);
    const query = job.batch === 1 ? { name: 'one', text: INSERT_ONE } : { name: 'many', text: INSERT_MANY };
    while (performance.now() < end) {
      const values = next();
      const before = performance.now();
      if (job.withRollup) await client.query('begin');
      await client.query({ ...query, values });
      if (job.withRollup) {
        await client.query({ name: 'rollup', text: ADD_UP, values: [values[2], values[3], values[4]] });
        await client.query('commit');
      }
      millis.push(performance.now() - before);
    }
  };
  await Promise.all(clients.map(write));
  const seconds = (performance.now() - start) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  await first.query(`drop table ${TABLE}, ${ROLLUP_TABLE}`);
  await Promise.all(clients.map((client) => client.end()));
  return {
    notServed: false,
    events: millis.length * job.batch,
    requests: millis.length,
    seconds,
    latencies: latenciesOf(millis),
    failures: {},
    clientCpuSeconds: (cpu.user + cpu.system) / 1e6,
  };
}

async function connected(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  return client;
}

function customerOf(index: number): string {
  return `cus_bench${String(index % CUSTOMERS).padStart(9, '0')}`;
}

function payloadOf(index: number): string {
  return `{"stripe_customer_id":"${customerOf(index)}","value":"${1 + (index % 97)}"}`;
}

/** The columns that are the same from batch to batch are made once: the ceiling is Postgres's, not the client's. */
function batches(size: number): () => unknown[] {
  const run = randomBytes(6).toString('hex');
  const column = (valueAt: (index: number) => string) => Array.from({ length: size }, (_, i) => valueAt(i));
  const now = new Date().toISOString();
  const accounts = column(() => ACCOUNT);
  const customers = column(customerOf);
  const times = column(() => now);
  const values = column((index) => String(1 + (index % 97)));
  const payloads = column(payloadOf);
  let base = 0;
  return () => {
    const identifiers = column((index) => `${run}-${String(base + index).padStart(12, '0')}`);
    base += size;
    return [accounts, identifiers, customers, times, values, payloads];
  };
}

function singleRows(): () => unknown[] {
  const run = randomBytes(6).toString('hex');
  let number = 0;
  return () => {
    number += 1;
    const identifier = `${run}-${String(number).padStart(12, '0')}`;
    const time = new Date().toISOString();
    return [ACCOUNT, identifier, customerOf(number), time, String(1 + (number % 97)), payloadOf(number)];
  };
}
