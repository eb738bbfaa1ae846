import type Stripe from 'stripe';
import { MINUTE_MS, SECOND_MS } from './dates.js';
import { UsageError } from '../terminal/usageError.js';

interface Settings {
  readonly invoice_grace_seconds: number;
  readonly late_usage: 'bill' | 'drop';
}

/**
 * How long the account keeps a draft open for late usage, in ms. Throws UsageError when its settings leave no room for
 * what the demo shows.
 */
export async function readGrace(stripe: Stripe): Promise<number> {
  const settings = (await stripe.rawRequest('GET', '/live/v1/settings')) as unknown as Settings;
  const grace = settings.invoice_grace_seconds * SECOND_MS;
  if (settings.late_usage === 'bill' && grace >= MINUTE_MS) return grace;
  throw new UsageError(
    'the demo shows late usage, and this account has it switched off: see late_usage and invoice_grace_seconds in ' +
      '/live/v1/settings',
  );
}
