import type { Routes } from '../app.js';
import { alertsEndpoints, alertsExpansion } from './alerts.js';
import { customersEndpoints, customersExpansion } from './customers.js';
import { eventsEndpoints } from './events.js';
import { invoiceLinesExpansion, invoicesEndpoints, invoicesExpansion } from './invoices.js';
import { meterEventsEndpoints } from './meterEvents.js';
import { meterEventSummariesEndpoints } from './meterEventSummaries.js';
import { metersEndpoints, metersExpansion } from './meters.js';
import { pricesEndpoints, pricesExpansion } from './prices.js';
import { productsEndpoints, productsExpansion } from './products.js';
import { subscriptionItemsEndpoints, subscriptionItemsExpansion } from './subscriptionItems.js';
import { subscriptionsEndpoints, subscriptionsExpansion } from './subscriptions.js';
import { testClocksEndpoints, testClocksExpansion } from './testClocks.js';

/** Everything of Stripe's API that is served. A new resource is added here and nowhere else. */
export const stripeRoutes: Routes = {
  endpoints: [
    ...customersEndpoints,
    ...productsEndpoints,
    ...pricesEndpoints,
    ...metersEndpoints,
    ...meterEventsEndpoints,
    ...meterEventSummariesEndpoints,
    ...alertsEndpoints,
    ...subscriptionsEndpoints,
    ...subscriptionItemsEndpoints,
    ...invoicesEndpoints,
    ...testClocksEndpoints,
    ...eventsEndpoints,
  ],
  expansions: [
    customersExpansion,
    productsExpansion,
    pricesExpansion,
    metersExpansion,
    alertsExpansion,
    subscriptionsExpansion,
    subscriptionItemsExpansion,
    invoicesExpansion,
    invoiceLinesExpansion,
    testClocksExpansion,
  ],
};
