import { rateText, type SectionResult } from '../results.js';
import { slopeOf } from '../stats.js';
import { createCustomers, createMeter, sendEvents, type World } from '../world.js';

const SAMPLE_MS = 250;
/** Of the mean: what may come and go with garbage collection. */
const GROWTH_MAX = 0.1;

/** Resident memory of the engine's process while many events pass through it. */
export async function measureMemory(world: World): Promise<SectionResult> {
  const { events: eventsMax } = world.options;
  const meter = await createMeter(world, 'memory');
  const customers = await createCustomers(world, 1000);
  const samples: [number, number][] = [];
  const start = performance.now();
  const sample = (): void => {
    samples.push([(performance.now() - start) / 1000, world.engine.residentMegabytes()]);
  };
  const before = world.engine.residentMegabytes();
  const timer = setInterval(sample, SAMPLE_MS);
  world.note(`${eventsMax.toLocaleString('en-US')} events through the engine`);
  const job = { connections: 4, customers, eventName: meter.eventName, eventsMax };
  const { events, seconds } = await sendEvents(world, job).finally(() => clearInterval(timer));
  const settled = samples.slice(Math.floor(samples.length / 2));
  const mean = settled.reduce((sum, [, size]) => sum + size, 0) / settled.length;
  const span = (settled.at(-1)?.[0] ?? 0) - (settled[0]?.[0] ?? 0);
  const growth = (slopeOf(settled) * span) / mean;
  const peak = Math.max(...samples.map(([, size]) => size));
  const megabytes = (size: number) => `${size.toFixed(0)} MB`;
  return {
    tables: [
      {
        title: 'Memory of the engine process',
        head: ['events', 'events/s', 'before', 'mean, second half', 'peak', 'growth over second half'],
        rows: [
          [
            rateText(events),
            rateText(events / seconds),
            megabytes(before),
            megabytes(mean),
            megabytes(peak),
            `${(growth * 100).toFixed(1)} %`,
          ],
        ],
      },
    ],
    goals: [
      {
        number: 6,
        text: `memory flat over ${rateText(events)} events (growth ≤ ${GROWTH_MAX * 100} % over the second half)`,
        measured: `${(growth * 100).toFixed(1)} %, ${megabytes(mean)}`,
        met: growth <= GROWTH_MAX,
      },
    ],
    data: { events, seconds, before, samples },
  };
}
