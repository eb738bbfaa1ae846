import { EVENTS_OF, type Form, type JobResult } from '../client/jobs.js';
import { runJob } from '../client/process.js';
import { type Goal, millisText, rateText, ratioText, type SectionResult, type Table } from '../results.js';
import { median } from '../stats.js';
import { createCustomers, createMeter, sendEvents, type World } from '../world.js';

const CUSTOMERS = 100;
const CONNECTIONS: Readonly<Record<Form, readonly number[]>> = {
  v1: [1, 16, 64, 256],
  v2: [1, 16, 64],
  stream100: [1, 16],
  bulk1000: [1, 16],
  bulk10000: [1, 4, 16],
};
/** The clients of baseline (b), as many as keep the server busy. */
const SIGNALLERS = 32;
const BULK_GOAL = 0.5;
const SIGNAL_GOAL = 50;
const SINGLE_GOAL = 3;

interface Measured {
  readonly name: string;
  readonly form: Form | null;
  readonly connections: number;
  readonly result: JobResult;
  /** CPU of the engine's own process, microseconds an event. */
  readonly engineMicros: number | null;
}

/** Events a second in every form, each between two measurements of the ceiling. */
export async function measureIngest(world: World): Promise<SectionResult> {
  const customers = await createCustomers(world, CUSTOMERS);
  const { eventName } = await createMeter(world, 'ingest');
  const measured: Measured[] = [];
  const add = (one: Measured): void => {
    measured.push(one);
    world.note(`${one.name}, ${one.connections}: ${rateText(perSecond(one.result))} events/s`);
  };
  for (const form of Object.keys(CONNECTIONS) as Form[]) {
    if (form === 'v1') {
      for (const connections of [1, 16, 64]) add(await postgres(world, 1, connections));
      for (const connections of [1, 64]) add(await postgres(world, 1, connections, true));
    } else if (EVENTS_OF[form] > 1) add(await postgres(world, EVENTS_OF[form], 1));
    for (const connections of CONNECTIONS[form]) {
      const cpuBefore = world.engine.cpuSeconds();
      const { seconds } = world.options;
      const result = await sendEvents(world, { form, connections, customers, eventName, seconds });
      const cpu = world.engine.cpuSeconds() - cpuBefore;
      // The warm-up of a second is in the CPU time and not in the events.
      const share = result.seconds / (result.seconds + 1);
      const engineMicros = result.events === 0 ? null : (cpu * share * 1e6) / result.events;
      add({ name: form, form, connections, result, engineMicros });
      if (result.notServed) break;
      if (EVENTS_OF[form] > 1) add(await postgres(world, EVENTS_OF[form], 1));
    }
  }
  add(await signals(world));
  return { tables: [tableOf(measured)], goals: goalsOf(measured), data: measured };
}

async function postgres(
  world: World,
  batch: number,
  connections: number,
  withRollup = false,
): Promise<Measured> {
  const { seconds } = world.options;
  const url = world.engine.scratchUrl;
  const result = await runJob({
    kind: 'postgres',
    url,
    batch,
    withRollup,
    connections,
    seconds: Math.max(2, seconds / 2),
  });
  const name = withRollup ? WITH_ROLLUP : baselineName(batch);
  return { name, form: null, connections, result, engineMicros: null };
}

const WITH_ROLLUP = '(c) the same with its rollup';

function baselineName(batch: number): string {
  return batch === 1 ? '(c) Postgres, one event a transaction' : `(a) Postgres, unnest of ${batch}`;
}

async function signals(world: World): Promise<Measured> {
  const { temporal: address } = world.engine;
  const { seconds } = world.options;
  const result = await runJob({ kind: 'signals', address, concurrency: SIGNALLERS, seconds });
  return {
    name: '(b) Temporal, one signal an event',
    form: null,
    connections: SIGNALLERS,
    result,
    engineMicros: null,
  };
}

function perSecond({ events, seconds }: JobResult): number {
  return seconds === 0 ? 0 : events / seconds;
}

function tableOf(measured: readonly Measured[]): Table {
  return {
    title: 'Ingest',
    head: ['what', 'connections', 'events/s', 'p50 ms', 'p99 ms', 'engine µs/event', 'failures'],
    rows: measured.map(({ name, connections, result, engineMicros }) =>
      result.notServed
        ? [name, String(connections), 'not served yet', '', '', '', '']
        : [
            name,
            String(connections),
            rateText(perSecond(result)),
            millisText(result.latencies.p50),
            millisText(result.latencies.p99),
            engineMicros === null ? '' : engineMicros.toFixed(1),
            failuresText(result),
          ],
    ),
  };
}

function failuresText({ failures }: JobResult): string {
  return Object.entries(failures)
    .map(([name, count]) => `${count} × ${name}`)
    .join(', ');
}

function best(measured: readonly Measured[], form: Form): number {
  return Math.max(0, ...measured.filter((one) => one.form === form).map(({ result }) => perSecond(result)));
}

/** Baselines of one kind are measured several times in a run; the middle one counts. */
function baseline(measured: readonly Measured[], name: string, connections?: number): number {
  const rates = measured
    .filter((one) => one.name === name && (connections === undefined || one.connections === connections))
    .map(({ result }) => perSecond(result));
  return median(rates);
}

function goalsOf(measured: readonly Measured[]): Goal[] {
  const bulk = best(measured, 'bulk10000');
  const ceiling = baseline(measured, baselineName(EVENTS_OF.bulk10000));
  const signalRate = baseline(measured, '(b) Temporal, one signal an event');
  const single = best(measured, 'v1');
  const transactions = baseline(measured, baselineName(1), 1);
  const many = baseline(measured, baselineName(1), 64);
  const added = baseline(measured, WITH_ROLLUP, 1);
  return [
    atLeast(1, `bulk ingest ≥ ${BULK_GOAL} × ceiling (a)`, bulk, ceiling, BULK_GOAL),
    atLeast(1, `bulk ingest ≥ ${SIGNAL_GOAL} × baseline (b)`, bulk, signalRate, SIGNAL_GOAL),
    atLeast(
      2,
      `single v1 events ≥ ${SINGLE_GOAL} × (c) on one connection`,
      single,
      transactions,
      SINGLE_GOAL,
    ),
    atLeast(2, `single v1 events ≥ ${SINGLE_GOAL} × (c) on 64 connections`, single, many, SINGLE_GOAL),
    atLeast(
      2,
      `single v1 events ≥ ${SINGLE_GOAL} × (c) with a rollup, one connection`,
      single,
      added,
      SINGLE_GOAL,
    ),
  ];
}

function atLeast(number: number, text: string, rate: number, base: number, goal: number): Goal {
  const ratio = base === 0 ? 0 : rate / base;
  return {
    number,
    text,
    measured: `${rateText(rate)} / ${rateText(base)} = ${ratioText(ratio)}`,
    met: ratio >= goal,
  };
}
