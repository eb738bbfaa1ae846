import type { Routes } from '../app.js';
import { eventBatchEndpoint } from './events.js';
import { authorizationEndpoints } from './authorizations.js';
import { entitlementEndpoints } from './entitlements.js';
import { pricingUnitEndpoints } from './pricingUnits.js';
import { eventSearchEndpoint } from './eventSearch.js';
import { metersEndpoints } from './meters.js';
import { settingsEndpoints } from './settings.js';
import { usageEndpoint } from './usage.js';

/** What neither vendor has. A new resource of ours is added here and nowhere else. */
export const liveRoutes: Routes = {
  endpoints: [
    ...settingsEndpoints,
    ...metersEndpoints,
    eventSearchEndpoint,
    usageEndpoint,
    ...pricingUnitEndpoints,
    ...authorizationEndpoints,
    ...entitlementEndpoints,
  ],
  expansions: [],
  raw: [eventBatchEndpoint],
};
