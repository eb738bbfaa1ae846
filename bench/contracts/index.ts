import type { ContractsWorld } from './api.js';
import { type DimensionCosts, type EventCost, measureDimensions, measurePlain } from './dimensions.js';
import { type DraftReads, type DraftResult, measureDrafts } from './drafts.js';
import { measureRecharge, type RechargeResult } from './recharge.js';

const NARROW_P99_MS = 100;
const WIDE_P99_MS = 1000;
const RECHARGE_P99_MS = 3000;
/** What two measurements of the same thing may differ by on a shared machine. */
const SAME_COST = 1.25;
const PLAIN_SHARE = 0.5;

interface Table {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

interface ContractsResult {
  readonly tables: readonly Table[];
  readonly goals: readonly { number: number; text: string; measured: string; met: boolean }[];
  readonly data: unknown;
}

interface Measured {
  readonly plain: EventCost;
  readonly drafts: DraftResult;
  readonly recharge: RechargeResult;
  readonly dimensions: DimensionCosts;
}

/** Drafts on a big rate card, balances that fall under load, and the cost of dimensions; a section of the benchmark. */
export async function measureContracts(world: ContractsWorld): Promise<ContractsResult> {
  const plain = await measurePlain(world);
  const drafts = await measureDrafts(world);
  const recharge = await measureRecharge(world);
  const dimensions = await measureDimensions(world);
  const measured = { plain, drafts, recharge, dimensions };
  return { tables: tablesOf(measured), goals: goalsOf(measured), data: measured };
}

function tablesOf({ plain, drafts, recharge, dimensions }: Measured): Table[] {
  return [
    {
      title: `Drafts on 10,000 combinations, ${drafts.events} events (${drafts.eventsPerSecond.toFixed(0)}/s)`,
      head: ['lines', 'p50 ms', 'p99 ms', 'CPU ms'],
      rows: [drafts.narrow, drafts.wide].map(({ lines, millis, cpuMillis }) => [
        String(lines),
        ...[0.5, 0.99].map((share) => percentile(millis, share).toFixed(1)),
        cpuMillis.toFixed(1),
      ]),
    },
    {
      title: `Event acknowledged, at ${recharge.eventsPerSecond.toFixed(0)} events/s of others`,
      head: ['to', 'crossed', 'p50 ms', 'p99 ms'],
      rows: [
        ['alert recorded', recharge.alarmMillis] as const,
        ['recharge usable', recharge.commitMillis] as const,
      ].map(([name, millis]) => [
        name,
        `${millis.length} of ${recharge.crossed}`,
        ...[0.5, 0.99].map((share) => percentile(millis, share).toFixed(0)),
      ]),
    },
    {
      title: 'Cost of an event, 100 combinations',
      head: ['dimensions', 'engine CPU µs', 'µs'],
      rows: [
        ['none, no metric or contract', plain] as const,
        ['1', dimensions.one] as const,
        ['3', dimensions.three] as const,
      ].map(([name, cost]) => [name, cost.cpuMicros.toFixed(1), cost.micros.toFixed(1)]),
    },
  ];
}

function goalsOf({ plain, drafts, recharge, dimensions }: Measured): ContractsResult['goals'] {
  const alarm = percentile(recharge.alarmMillis, 0.99);
  const commit = percentile(recharge.commitMillis, 0.99);
  const all = [recharge.alarmMillis, recharge.commitMillis].every((one) => one.length === recharge.crossed);
  const ratio = dimensions.three.cpuMicros / dimensions.one.cpuMicros;
  const share = plain.micros / dimensions.three.micros;
  return [
    draftGoal(drafts.narrow, NARROW_P99_MS),
    draftGoal(drafts.wide, WIDE_P99_MS),
    {
      number: 5,
      text: 'cost per event unchanged from one dimension to three',
      measured: `${ratio.toFixed(2)} × of the engine's CPU`,
      met: ratio < SAME_COST,
    },
    {
      number: 5,
      text: 'events that metrics count and contracts price: ≥ half of the plain rate',
      measured: `${share.toFixed(2)} × of ${(1e6 / plain.micros).toFixed(0)}/s`,
      met: share >= PLAIN_SHARE,
    },
    {
      number: 6,
      text: 'event acknowledged to alert recorded and recharge usable: p99 < 3 s under load',
      measured: `${alarm.toFixed(0)} and ${commit.toFixed(0)} ms`,
      met: all && alarm < RECHARGE_P99_MS && commit < RECHARGE_P99_MS,
    },
  ];
}

function draftGoal(reads: DraftReads, limit: number): ContractsResult['goals'][number] {
  const p99 = percentile(reads.millis, 0.99);
  return {
    number: 5,
    text: `draft of ${reads.lines} lines: p99 < ${limit} ms, right to the cent`,
    measured: `${p99.toFixed(0)} ms${reads.right ? '' : ', WRONG'}`,
    met: reads.right && p99 < limit,
  };
}

function percentile(millis: readonly number[], share: number): number {
  const sorted = [...millis].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
