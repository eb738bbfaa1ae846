// npm run bench: starts real servers, measures, prints a table and, where asked, JSON.
import { writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { measureContracts } from './contracts/index.js';
import { type MeasuredEngine, startMeasuredEngine } from './engineProcess.js';
import { type BenchOptions, HELP, parseBenchArgs, type SectionName } from './options.js';
import { type Goal, renderGoals, renderTable, type SectionResult } from './results.js';
import { measureAlerts } from './sections/alerts.js';
import { measureIngest } from './sections/ingest.js';
import { measureMemory } from './sections/memory.js';
import { measureReads } from './sections/reads.js';
import { measureSignals } from './sections/signals.js';
import { openWorld, type World } from './world.js';

const MEASURES: Readonly<Record<SectionName, (world: World) => Promise<SectionResult>>> = {
  ingest: measureIngest,
  reads: measureReads,
  signals: measureSignals,
  alerts: measureAlerts,
  memory: measureMemory,
  contracts: (world) =>
    measureContracts({
      api: world.engine.api,
      apiKey: world.engine.apiKey,
      events: world.options.contractEvents,
      cpuSeconds: () => world.engine.cpuSeconds(),
      note: (text) => {
        world.note(text);
      },
    }),
};

process.exitCode = await run();

async function run(): Promise<number> {
  let options: BenchOptions | 'help';
  try {
    options = parseBenchArgs(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    return 2;
  }
  if (options === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  const engine = await startMeasuredEngine(options.profileDir);
  const interrupted = interruption();
  try {
    const done = await Promise.race([measureAll(engine, options), interrupted]);
    return done === 'interrupted' ? 130 : 0;
  } finally {
    await engine.stop();
  }
}

async function measureAll(engine: MeasuredEngine, options: BenchOptions): Promise<void> {
  const started = new Date().toISOString();
  const opened = await openWorld(engine, options, note);
  const sections: Record<string, unknown> = {};
  const goals: Goal[] = [];
  process.stdout.write(`## Benchmark\n\n${machine()}\n`);
  for (const name of options.only) {
    const load = loadavg()[0]?.toFixed(1);
    note(`${name}; load average ${String(load)}`);
    const result = await MEASURES[name](opened.world);
    sections[name] = { loadBefore: load, data: result.data };
    goals.push(...result.goals);
    for (const table of result.tables) process.stdout.write(`\n${renderTable(table)}\n`);
  }
  await opened.close();
  process.stdout.write(`\n${renderGoals(goals)}\n`);
  if (options.jsonFile === null) return;
  const report = { started, machine: machine(), options, goals, sections };
  writeFileSync(options.jsonFile, `${JSON.stringify(report, null, 2)}\n`);
}

function machine(): string {
  const all = cpus();
  const gigabytes = Math.round(totalmem() / 2 ** 30);
  const load = loadavg().map((value) => value.toFixed(1));
  return (
    `${all.length} × ${all[0]?.model.trim() ?? 'CPU'}, ${gigabytes} GiB, Node ${process.versions.node}; ` +
    `load average ${load.join(', ')} at the start; engine, Postgres, Temporal and client all on it.`
  );
}

function note(text: string): void {
  process.stderr.write(`  ${text}\n`);
}

/** A signal ends it in good order; more of them change nothing, since the engine's own stop is bounded. */
function interruption(): Promise<'interrupted'> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => resolve('interrupted'));
  });
}
