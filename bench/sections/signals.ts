import type { Client } from '@temporalio/client';
import { connectTemporal, costOfWorkflow, type WorkflowCost } from '../histories.js';
import { type Goal, rateText, type SectionResult } from '../results.js';
import { createMeter, createPrice, createSubscribers, sendEvents, untilQuiet, type World } from '../world.js';
import { workflowIdOf } from '../workflowIds.js';
import { type AlertLatencies, AlertWatch } from './alertWatch.js';

const SIGNALS_MAX = 2000;
/** The engine's default. */
const BUDGET_PER_SECOND = 100;
/** Temporal warns at 10,240 events of a run and ends it at 51,200 (docs.temporal.io/workflow-execution/limits). */
const HISTORY_WARNING = 10_240;
const ALERTED = 20;
const P99_MS = 2000;
const SETTLE_SECONDS_MAX = 300;

interface Fed {
  readonly events: number;
  readonly perSecond: number;
  readonly cost: WorkflowCost;
}

interface Crowd {
  readonly subscriptions: number;
  readonly seconds: number;
  readonly signals: number;
  readonly perSecond: number;
  readonly alerts: AlertLatencies;
}

/** What usage costs the workflows: one subscription at full speed, and many that are dirty at once. */
export async function measureSignals(world: World): Promise<SectionResult> {
  const client = await connectTemporal(world.engine.temporal);
  try {
    const fed = await feedOne(world, client);
    const crowd = await dirtyMany(world);
    return resultOf(fed, crowd);
  } finally {
    await client.connection.close();
  }
}

async function feedOne(world: World, client: Client): Promise<Fed> {
  const meter = await createMeter(world, 'fed');
  const [subscriber] = await createSubscribers(world, await createPrice(world, meter), 1);
  if (subscriber === undefined) throw new Error('no subscriber');
  const { events: eventsMax } = world.options;
  world.note(`${eventsMax.toLocaleString('en-US')} events to one subscription`);
  const { customer } = subscriber;
  const job = { connections: 4, customers: [customer], eventName: meter.eventName, eventsMax };
  const { events, seconds } = await sendEvents(world, job);
  await untilQuiet(world);
  const cost = await costOfWorkflow(client, await workflowIdOf(world, subscriber.subscription));
  return { events, perSecond: events / seconds, cost };
}

async function dirtyMany(world: World): Promise<Crowd> {
  const { subscriptions: count, seconds } = world.options;
  const meter = await createMeter(world, 'crowd');
  world.note(`${count.toLocaleString('en-US')} subscriptions`);
  const subscribers = await createSubscribers(world, await createPrice(world, meter), count);
  await untilQuiet(world);
  const customers = subscribers.map(({ customer }) => customer);
  const watch = await AlertWatch.open(world, meter, customers.slice(0, ALERTED));
  const counting = countSignals(world, customers);
  const started = performance.now();
  world.note('all of them dirty at once, again and again');
  const load = sendEvents(world, { connections: 2, customers, eventName: meter.eventName, seconds });
  const alerts = await watch.crossOneByOne(seconds * 1000);
  await load;
  await untilQuiet(world, SETTLE_SECONDS_MAX);
  const took = (performance.now() - started) / 1000;
  const signals = await counting.stop();
  return { subscriptions: count, seconds: took, signals, perSecond: signals / took, alerts };
}

/** Counts by looking often: a customer is told at most once a second, and each time it is written down when. */
function countSignals(world: World, customers: readonly string[]): { stop(): Promise<number> } {
  const seen = new Set<string>();
  const state = { stopped: false };
  const look = async (): Promise<void> => {
    const { rows } = await world.database.query<{ customer_id: string; told: string }>(
      `select customer_id, signalled_at::text as told from usage_notices
       where signalled_at is not null and customer_id = any($1)`,
      [customers],
    );
    for (const { customer_id: customer, told } of rows) seen.add(`${customer} ${told}`);
  };
  const loop = (async () => {
    while (!state.stopped) {
      await look();
      await new Promise((resolve) => setTimeout(resolve, 400));
    }
    await look();
  })();
  return {
    async stop() {
      state.stopped = true;
      await loop;
      return seen.size;
    },
  };
}

function resultOf(fed: Fed, crowd: Crowd): SectionResult {
  const million = fed.events / 1e6;
  const signals = fed.cost.signals / million;
  const bytes = fed.cost.historyBytes / million;
  return {
    tables: [
      {
        title: 'One subscription fed at full speed',
        head: [
          'events',
          'events/s',
          'signals',
          'signals/million',
          'history KB/million',
          'runs',
          'longest run',
        ],
        rows: [
          [
            rateText(fed.events),
            rateText(fed.perSecond),
            String(fed.cost.signals),
            signals.toFixed(0),
            (bytes / 1024).toFixed(0),
            String(fed.cost.runs),
            `${fed.cost.longestRunEvents} events`,
          ],
        ],
      },
      {
        title: 'Many subscriptions dirty at once',
        head: ['subscriptions', 'until all told, s', 'signals', 'signals/s', 'alerts', 'p50 ms', 'p99 ms'],
        rows: [
          [
            rateText(crowd.subscriptions),
            crowd.seconds.toFixed(1),
            rateText(crowd.signals),
            crowd.perSecond.toFixed(1),
            String(crowd.alerts.recorded),
            crowd.alerts.latencies.p50.toFixed(0),
            crowd.alerts.latencies.p99.toFixed(0),
          ],
        ],
      },
    ],
    goals: goalsOf(fed, signals, crowd),
    data: { fed, crowd },
  };
}

function goalsOf(fed: Fed, signalsPerMillion: number, crowd: Crowd): Goal[] {
  const { perSecond, alerts } = crowd;
  const longest = fed.cost.longestRunEvents;
  return [
    {
      number: 4,
      text: `one subscription: ≤ ${rateText(SIGNALS_MAX)} signals per million events`,
      measured: signalsPerMillion.toFixed(0),
      met: signalsPerMillion <= SIGNALS_MAX,
    },
    {
      number: 4,
      text: 'history never near its limit',
      measured: `${longest} events in the longest run`,
      met: longest < HISTORY_WARNING / 2,
    },
    {
      number: 4,
      text: `${rateText(crowd.subscriptions)} dirty subscriptions: ≤ ${BUDGET_PER_SECOND} signals/s`,
      measured: `${perSecond.toFixed(1)} /s`,
      // A tenth of a second's budget may have been saved up before.
      met: perSecond * crowd.seconds <= BUDGET_PER_SECOND * (crowd.seconds + 0.1),
    },
    {
      number: 4,
      text: 'their alerts in time all the same (p99 < 2 s)',
      measured: `${alerts.latencies.p99.toFixed(0)} ms, ${alerts.recorded} of ${alerts.crossed}`,
      met: alerts.recorded === alerts.crossed && alerts.latencies.p99 < P99_MS,
    },
  ];
}
