import type { Routes } from '../app.js';
import { coreEventsEndpoints } from './coreEvents.js';
import { v2MeterEventsEndpoints } from './meterEvents.js';
import { meterEventStreamEndpoint } from './meterEventStream.js';

/** What is served of Stripe's v2 API: JSON bodies, RFC 3339 times, pages by URL. */
export const v2Routes: Routes = {
  endpoints: [...v2MeterEventsEndpoints, ...coreEventsEndpoints],
  expansions: [],
  raw: [meterEventStreamEndpoint()],
};
