import type Stripe from 'stripe';
import { unixSeconds } from './dates.js';
import { matches, renderInvoice } from './invoiceTable.js';
import type { Screen } from '../terminal/screen.js';

export interface BilledCustomer {
  readonly name: string;
  readonly customerId: string;
  readonly subscriptionId: string;
}

/** What has been billed to a customer so far, by the engine and by the demo's own books. */
export interface Tally {
  invoices: number;
  billed: bigint;
  expected: bigint;
  mismatches: number;
}

export function emptyTally(): Tally {
  return { invoices: 0, billed: 0n, expected: 0n, mismatches: 0 };
}

/**
 * Prints the invoice of a subscription that is dated `at`, beside the amount that the demo expects, and adds both to the
 * tally. Throws when there is not exactly one: a period end has one invoice.
 */
export async function showInvoice(
  stripe: Stripe,
  screen: Screen,
  customer: BilledCustomer,
  at: number,
  expected: bigint,
  tally: Tally,
): Promise<void> {
  const created = unixSeconds(at);
  const { data } = await stripe.invoices.list({ subscription: customer.subscriptionId, created, limit: 2 });
  const [invoice] = data;
  if (invoice === undefined || data.length !== 1) {
    throw new Error(
      `${customer.name} has ${data.length} invoices of ${new Date(at).toISOString()}, expected one`,
    );
  }
  const lines = invoice.lines.has_more
    ? await stripe.invoices.listLineItems(invoice.id, { limit: 100 }).autoPagingToArray({ limit: 10_000 })
    : invoice.lines.data;
  screen.print(...renderInvoice(invoice, lines, customer.name, expected));
  tally.invoices += 1;
  tally.billed += BigInt(invoice.total);
  tally.expected += expected;
  if (!matches(invoice, expected)) tally.mismatches += 1;
}
