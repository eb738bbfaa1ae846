import type { Routes } from '../app.js';
import { eventBatchEndpoint } from './events.js';
import { settingsEndpoints } from './settings.js';

/** What neither vendor has. A new resource of ours is added here and nowhere else. */
export const liveRoutes: Routes = {
  endpoints: [...settingsEndpoints],
  expansions: [],
  raw: [eventBatchEndpoint],
};
