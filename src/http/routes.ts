import type { Routes } from './app.js';
import { liveRoutes } from './live/index.js';
import { metronomeEndpoints } from './metronome/index.js';
import { stripeRoutes } from './stripe/index.js';
import { v2Routes } from './v2/index.js';

/** Everything that the API serves. */
export const routes: Routes = {
  endpoints: [...stripeRoutes.endpoints, ...v2Routes.endpoints, ...liveRoutes.endpoints],
  expansions: [...stripeRoutes.expansions, ...liveRoutes.expansions],
  raw: [...(stripeRoutes.raw ?? []), ...(v2Routes.raw ?? []), ...(liveRoutes.raw ?? [])],
  metronome: metronomeEndpoints,
};
