import { alertEndpoints } from './alerts.js';
import { balanceEditEndpoints } from './balanceEdits.js';
import { balanceEndpoints } from './balances.js';
import { billableMetricEndpoints } from './billableMetrics.js';
import { billingConfigurationEndpoints } from './billingConfigurations.js';
import { contractEndpoints } from './contracts.js';
import { contractV2Endpoints } from './contractsV2.js';
import { customerBalanceEndpoints } from './customerBalances.js';
import { customerAlertEndpoints } from './customerAlerts.js';
import { customFieldEndpoints } from './customFields.js';
import { customerEndpoints } from './customers.js';
import type { MetronomeEndpoint } from './endpoint.js';
import { eventsSearchEndpoints } from './eventsSearch.js';
import { historicalInvoiceEndpoints } from './historicalInvoices.js';
import { ingestEndpoints } from './ingest.js';
import { invoiceEndpoints } from './invoices.js';
import { previewEndpoints } from './preview.js';
import { packageEndpoints } from './packages.js';
import { pricingUnitEndpoints } from './pricingUnits.js';
import { productEndpoints } from './products.js';
import { rateCardEndpoints } from './rateCards.js';
import { rateEndpoints } from './rates.js';
import { rateScheduleEndpoints } from './rateSchedule.js';
import { seatEndpoints } from './seats.js';
import { spendBreakdownEndpoints } from './spendBreakdowns.js';
import { usageEndpoints } from './usage.js';

/** The Metronome dialect. A new resource is added here and nowhere else. */
export const metronomeEndpoints: readonly MetronomeEndpoint[] = [
  ...alertEndpoints,
  ...balanceEditEndpoints,
  ...balanceEndpoints,
  ...billableMetricEndpoints,
  ...billingConfigurationEndpoints,
  ...contractEndpoints,
  ...contractV2Endpoints,
  ...customerBalanceEndpoints,
  ...customerAlertEndpoints,
  ...customFieldEndpoints,
  ...customerEndpoints,
  ...eventsSearchEndpoints,
  ...ingestEndpoints,
  ...usageEndpoints,
  ...invoiceEndpoints,
  ...historicalInvoiceEndpoints,
  ...spendBreakdownEndpoints,
  ...packageEndpoints,
  ...previewEndpoints,
  ...pricingUnitEndpoints,
  ...productEndpoints,
  ...rateCardEndpoints,
  ...rateEndpoints,
  ...rateScheduleEndpoints,
  ...seatEndpoints,
];
