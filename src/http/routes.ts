import type { Routes } from './app.js';
import { liveRoutes } from './live/index.js';
import { stripeRoutes } from './stripe/index.js';

/** Everything that the API serves. */
export const routes: Routes = {
  endpoints: [...stripeRoutes.endpoints, ...liveRoutes.endpoints],
  expansions: [...stripeRoutes.expansions, ...liveRoutes.expansions],
  raw: [...(stripeRoutes.raw ?? []), ...(liveRoutes.raw ?? [])],
};
