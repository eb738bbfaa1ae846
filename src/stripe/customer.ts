import type { JsonObject } from '../json.js';
import type { CustomerRecord } from '../storage/customers.js';
import { deletedObject, unixSeconds } from './values.js';

/** A customer in Stripe's shape (docs.stripe.com/api/customers/object); the stub when it was deleted. */
export function customerOrStub(customer: CustomerRecord): JsonObject {
  return customer.deletedAt === null ? customerObject(customer) : deletedObject('customer', customer.id);
}

/** A customer in Stripe's shape, every field present. */
export function customerObject(customer: CustomerRecord): JsonObject {
  const { details } = customer;
  return {
    id: customer.id,
    object: 'customer',
    address: details.address ?? null,
    balance: customer.balance,
    ...(details.business_name ? { business_name: details.business_name } : {}),
    created: unixSeconds(customer.createdAt),
    currency: customer.currency,
    customer_account: null,
    default_source: null,
    delinquent: false,
    description: details.description ?? null,
    discount: null,
    email: customer.email,
    ...(details.individual_name ? { individual_name: details.individual_name } : {}),
    invoice_prefix: customer.invoicePrefix,
    invoice_settings: {
      custom_fields: details.invoice_settings?.custom_fields ?? null,
      default_payment_method: null,
      footer: details.invoice_settings?.footer ?? null,
      rendering_options: details.invoice_settings?.rendering_options ?? null,
    },
    livemode: customer.livemode,
    metadata: customer.metadata,
    name: customer.name,
    next_invoice_sequence: customer.nextInvoiceSequence,
    phone: details.phone ?? null,
    preferred_locales: details.preferred_locales ?? [],
    shipping: details.shipping ?? null,
    tax_exempt: details.tax_exempt ?? 'none',
    test_clock: customer.testClockId,
  };
}
