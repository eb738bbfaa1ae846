import { rateText, type SectionResult } from '../results.js';
import {
  createCustomers,
  createMeter,
  createPrice,
  createSubscribers,
  sendEvents,
  type World,
} from '../world.js';
import { AlertWatch } from './alertWatch.js';

const SUBSCRIBED = 25;
const BARE = 25;
const CONNECTIONS = 4;
const P99_MS = 2000;

/** From the acknowledgement of an event to the alert's event, while ingesting at half of the top speed. */
export async function measureAlerts(world: World): Promise<SectionResult> {
  const meter = await createMeter(world, 'alerts');
  // Alerts of customers with a subscription go through its workflow, those of others do not.
  const subscribers = await createSubscribers(world, await createPrice(world, meter), SUBSCRIBED);
  const watched = [...subscribers.map(({ customer }) => customer), ...(await createCustomers(world, BARE))];
  const customers = await createCustomers(world, 100);
  const watch = await AlertWatch.open(world, meter, watched);
  const { eventName } = meter;
  const { seconds } = world.options;
  world.note('top speed');
  const top = await sendEvents(world, {
    form: 'bulk1000',
    connections: CONNECTIONS,
    customers,
    eventName,
    seconds,
  });
  const rate = top.events / top.seconds / 2;
  world.note(`alerts at ${rateText(rate)} events/s`);
  const span = Math.max(10, seconds * 2);
  const job = { form: 'bulk1000', connections: CONNECTIONS, customers, eventName, rate } as const;
  const load = sendEvents(world, { ...job, seconds: span });
  const alerts = await watch.crossOneByOne(span * 1000);
  const { events, seconds: measured } = await load;
  const { crossed, recorded, latencies } = alerts;
  return {
    tables: [
      {
        title: 'Event acknowledged to alert recorded',
        head: ['ingest events/s', 'alerts', 'recorded', 'p50 ms', 'p99 ms', 'max ms'],
        rows: [
          [
            rateText(events / measured),
            String(crossed),
            String(recorded),
            latencies.p50.toFixed(0),
            latencies.p99.toFixed(0),
            latencies.max.toFixed(0),
          ],
        ],
      },
    ],
    goals: [
      {
        number: 5,
        text: 'event acknowledged to alert recorded: p99 < 2 s at half speed',
        measured: `${latencies.p99.toFixed(0)} ms, ${recorded} of ${crossed}`,
        met: recorded === crossed && latencies.p99 < P99_MS,
      },
    ],
    data: { rate, ingestPerSecond: events / measured, alerts },
  };
}
