import type { Routes } from '../app.js';
import { eventBatchEndpoint } from './events.js';
import { eventSearchEndpoint } from './eventSearch.js';
import { metersEndpoints } from './meters.js';
import { settingsEndpoints } from './settings.js';
import { usageEndpoint } from './usage.js';

/** What neither vendor has. A new resource of ours is added here and nowhere else. */
export const liveRoutes: Routes = {
  endpoints: [...settingsEndpoints, ...metersEndpoints, eventSearchEndpoint, usageEndpoint],
  expansions: [],
  raw: [eventBatchEndpoint],
};
