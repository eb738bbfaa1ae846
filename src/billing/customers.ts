import { randomInt } from 'node:crypto';
import { type BillingError, invalid, notFound } from '../domain/errors.js';
import type { Instant } from '../domain/period.js';
import { newId } from '../ids.js';
import {
  type CustomerDetails,
  type CustomerRecord,
  countCustomersOnClock,
  findCustomer,
  insertCustomer,
  isInvoicePrefixTaken,
  markCustomerDeleted,
  updateCustomer,
} from '../storage/customers.js';
import { type Queryable, isUniqueViolation } from '../storage/db.js';
import { readSettings } from '../storage/settings.js';
import { findOpenSubscriptions } from '../storage/subscriptions.js';
import { customerObject } from '../stripe/customer.js';
import { type ChangeContext, emitChange, emitUpdate } from './catalogue.js';
import { customerNow, requireReadyClock, wallSecond } from './clock.js';
import { type MetadataUpdate, applyMetadata } from './metadata.js';

/** What create and update take alike; undefined leaves a property as it is. */
export interface CustomerChange {
  name?: string | null | undefined;
  email?: string | null | undefined;
  balance?: bigint | undefined;
  invoicePrefix?: string | undefined;
  nextInvoiceSequence?: number | undefined;
  details: CustomerDetails;
  metadata?: MetadataUpdate | undefined;
}

const PREFIX_LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
const PREFIX_LENGTH = 8;
const PREFIX_ATTEMPTS_MAX = 20;
/** docs.stripe.com/billing/testing/test-clocks/api-advanced-usage */
const CUSTOMERS_ON_CLOCK_MAX = 3;

/** The customer, not deleted. `param` is the request parameter that names it; `id` where the URL does. */
export async function requireCustomer(
  q: Queryable,
  accountId: string,
  id: string,
  param = 'id',
  lock: 'share' | 'update' | 'none' = 'none',
): Promise<CustomerRecord> {
  const customer = await findCustomer(q, accountId, id, lock);
  if (customer === null || customer.deletedAt !== null) throw notFound('customer', id, param);
  return customer;
}

/** Creates a customer, on a test clock if asked: then everything of its is dated by the clock, from `created` on. */
export async function createCustomer(
  ctx: ChangeContext,
  change: CustomerChange,
  testClockId: string | null,
): Promise<CustomerRecord> {
  const createdAt = testClockId === null ? wallSecond(ctx.core) : await joinClock(ctx, testClockId);
  const customer: CustomerRecord = {
    id: newId('customer'),
    livemode: ctx.livemode,
    createdAt,
    testClockId,
    name: change.name ?? null,
    email: change.email ?? null,
    currency: null,
    balance: change.balance ?? 0n,
    invoicePrefix: change.invoicePrefix ?? randomPrefix(),
    nextInvoiceSequence: change.nextInvoiceSequence ?? 1,
    details: change.details,
    metadata: applyMetadata({}, change.metadata),
    deletedAt: null,
  };
  const stored = await insertWithPrefix(ctx, customer, change.invoicePrefix !== undefined);
  await emitChange(ctx, 'customer.created', customerObject(stored), createdAt);
  return stored;
}

/** The clock's time. Holds the clock, so that its customers are counted by one request at a time. */
async function joinClock(ctx: ChangeContext, testClockId: string): Promise<Instant> {
  if (ctx.livemode) throw notFound('test clock', testClockId, 'test_clock');
  const clock = await requireReadyClock(ctx.tx, ctx.accountId, testClockId, 'update');
  const { unlimitedTestClocks } = await readSettings(ctx.tx, ctx.accountId);
  const count = await countCustomersOnClock(ctx.tx, ctx.accountId, testClockId);
  if (!unlimitedTestClocks && count >= CUSTOMERS_ON_CLOCK_MAX) {
    throw invalid(
      `Test clock ${testClockId} has ${count} customers already; ${CUSTOMERS_ON_CLOCK_MAX} is the limit.`,
      {
        param: 'test_clock',
      },
    );
  }
  return clock.frozenTime;
}

async function insertWithPrefix(
  ctx: ChangeContext,
  customer: CustomerRecord,
  prefixGiven: boolean,
): Promise<CustomerRecord> {
  let candidate = customer;
  for (let attempt = 1; attempt <= PREFIX_ATTEMPTS_MAX; attempt += 1) {
    if (await insertCustomer(ctx.tx, ctx.accountId, candidate)) return candidate;
    if (prefixGiven) throw prefixTaken(customer.invoicePrefix);
    candidate = { ...customer, invoicePrefix: randomPrefix() };
  }
  throw new Error(`no free invoice prefix in ${PREFIX_ATTEMPTS_MAX} attempts`);
}

function randomPrefix(): string {
  let prefix = '';
  while (prefix.length < PREFIX_LENGTH) prefix += PREFIX_LETTERS.charAt(randomInt(PREFIX_LETTERS.length));
  return prefix;
}

function prefixTaken(prefix: string): BillingError {
  return invalid(`The invoice prefix ${prefix} belongs to another customer.`, { param: 'invoice_prefix' });
}

/** Changes the properties given and leaves the others. */
export async function changeCustomer(
  ctx: ChangeContext,
  id: string,
  change: CustomerChange,
): Promise<CustomerRecord> {
  const before = await requireCustomer(ctx.tx, ctx.accountId, id, 'id', 'update');
  await checkNumbering(ctx, before, change);
  const after: CustomerRecord = {
    ...before,
    name: change.name === undefined ? before.name : change.name,
    email: change.email === undefined ? before.email : change.email,
    balance: change.balance ?? before.balance,
    invoicePrefix: change.invoicePrefix ?? before.invoicePrefix,
    nextInvoiceSequence: change.nextInvoiceSequence ?? before.nextInvoiceSequence,
    details: mergeDetails(before.details, change.details),
    metadata: applyMetadata(before.metadata, change.metadata),
  };
  await updateCustomer(ctx.tx, ctx.accountId, after).catch((error: unknown) => {
    throw isUniqueViolation(error, 'customers_invoice_prefix') ? prefixTaken(after.invoicePrefix) : error;
  });
  const at = await customerNow(ctx.tx, ctx.core, ctx.accountId, after);
  await emitUpdate(ctx, 'customer.updated', customerObject(before), customerObject(after), at);
  return after;
}

/** Invoice settings change one by one, everything else as a whole. */
function mergeDetails(before: CustomerDetails, change: CustomerDetails): CustomerDetails {
  const { invoice_settings: settings, ...rest } = change;
  const merged = { ...before, ...rest };
  return settings === undefined
    ? merged
    : { ...merged, invoice_settings: { ...before.invoice_settings, ...settings } };
}

/** A number is given once: neither another customer's prefix nor a sequence that was passed already is taken. */
async function checkNumbering(
  ctx: ChangeContext,
  before: CustomerRecord,
  change: CustomerChange,
): Promise<void> {
  const { invoicePrefix, nextInvoiceSequence } = change;
  if (
    invoicePrefix !== undefined &&
    (await isInvoicePrefixTaken(ctx.tx, ctx.accountId, invoicePrefix, before.id))
  ) {
    throw prefixTaken(invoicePrefix);
  }
  if (nextInvoiceSequence !== undefined && nextInvoiceSequence < before.nextInvoiceSequence) {
    throw invalid(`The next invoice sequence must be at least ${before.nextInvoiceSequence}.`, {
      param: 'next_invoice_sequence',
    });
  }
}

/**
 * Deletes a customer and, once that is committed, cancels its subscriptions at once without a last invoice
 * (docs.stripe.com/api/customers/delete). Deleting it again takes up cancellations that failed the first time; when
 * there are none left the customer is not found.
 */
export async function deleteCustomer(ctx: ChangeContext, id: string): Promise<void> {
  const customer = await findCustomer(ctx.tx, ctx.accountId, id, 'update');
  if (customer === null) throw notFound('customer', id, 'id');
  const open = await findOpenSubscriptions(ctx.tx, ctx.accountId, { customerId: id });
  if (customer.deletedAt !== null && open.length === 0) throw notFound('customer', id, 'id');
  if (customer.deletedAt === null) {
    const at = await customerNow(ctx.tx, ctx.core, ctx.accountId, customer);
    await markCustomerDeleted(ctx.tx, ctx.accountId, id, at);
    await emitChange(ctx, 'customer.deleted', customerObject(customer), at);
  }
  ctx.tx.afterCommit(async () => {
    for (const subscription of open) await cancelOnDelete(ctx, subscription.id);
  });
}

async function cancelOnDelete(ctx: ChangeContext, subscriptionId: string): Promise<void> {
  await ctx.core.workflows.changeSubscription(
    { accountId: ctx.accountId, subscriptionId },
    { type: 'cancel', invoiceNow: false, details: {} },
    'customer-deleted',
  );
}
