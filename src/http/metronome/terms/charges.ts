import type { z } from 'zod';
import { newUuid } from '../../../billing/contracts/ids.js';
import type { StoredScheduledCharge, StoredSubscription } from '../../../domain/contract/contract.js';
import { seatCount } from '../../../domain/contract/seatChanges.js';
import type { SeatChange } from '../../../domain/contract/terms.js';
import {
  compare,
  type Decimal,
  decimalFromBigint,
  roundToScale,
  toText,
  ZERO,
} from '../../../domain/decimal.js';
import { invalid } from '../../../domain/errors.js';
import type { Instant } from '../../../domain/period.js';
import { boolean, customFields, decimal, hourTimestamp, list, object, oneOf, text, uuid } from '../params.js';
import { requireProduct, type TermsContext } from './context.js';
import { rounding, roundingOf } from './recurring.js';
import { invoiceSchedule, invoiceScheduleOf } from './schedules.js';

export const scheduledCharge = object({
  product_id: uuid(),
  name: text({ min: 0 }).optional(),
  schedule: invoiceSchedule,
  custom_fields: customFields().optional(),
  netsuite_sales_order_id: text().optional(),
});

/** A scheduled charge with an id. */
export function scheduledChargeOf(
  context: TermsContext,
  params: z.output<typeof scheduledCharge>,
  where: string,
): StoredScheduledCharge {
  const product = requireProduct(context, params.product_id, `${where}.product_id`, ['FIXED']);
  const schedule = invoiceScheduleOf(
    params.schedule,
    context.units,
    context.defaultUnit,
    `${where}.schedule`,
  );
  return {
    id: newUuid(),
    name: params.name === undefined || params.name === '' ? product.name : params.name,
    givenName: params.name ?? null,
    description: null,
    customFields: params.custom_fields ?? {},
    productId: product.id,
    creditTypeId: schedule.creditTypeId,
    items: schedule.doNotInvoice ? [] : schedule.items,
    archivedAt: null,
  };
}

const quantity = decimal({ min: ZERO });

export const SEAT_ID_LENGTH_MAX = 200;

export const subscriptionParams = object({
  subscription_rate: object({
    product_id: uuid(),
    billing_frequency: oneOf(['WEEKLY', 'MONTHLY', 'QUARTERLY', 'ANNUAL']),
  }),
  collection_schedule: oneOf(['ADVANCE', 'ARREARS']),
  proration: object({
    is_prorated: boolean().optional(),
    invoice_behavior: oneOf(['BILL_IMMEDIATELY', 'BILL_ON_NEXT_COLLECTION_DATE']).optional(),
    rounding: rounding.optional(),
  }).optional(),
  initial_quantity: quantity.optional(),
  quantity_management_mode: oneOf(['QUANTITY_ONLY', 'SEAT_BASED']).optional(),
  seat_config: object({
    seat_group_key: text(),
    initial_seat_ids: list(text({ max: SEAT_ID_LENGTH_MAX })).optional(),
    initial_unassigned_seats: quantity.optional(),
  }).optional(),
  billing_cycle_config: object({
    anchor_date: hourTimestamp().optional(),
    invoice_placement: oneOf(['ON_USAGE_INVOICE', 'ON_SCHEDULED_INVOICE']).optional(),
  }).optional(),
  starting_at: hourTimestamp().optional(),
  ending_before: hourTimestamp().optional(),
  name: text({ min: 0 }).optional(),
  description: text({ min: 0 }).optional(),
  custom_fields: customFields().optional(),
  temporary_id: text().optional(),
});

const SEATS_MAX = decimalFromBigint(1000n);

/** A subscription with an id; it starts with the contract unless it says when. */
export function subscriptionOf(
  context: TermsContext,
  params: z.output<typeof subscriptionParams>,
  contractStart: Instant,
  where: string,
): StoredSubscription {
  const { product_id: productId, billing_frequency: frequency } = params.subscription_rate;
  const product = requireProduct(context, productId, `${where}.subscription_rate.product_id`, [
    'SUBSCRIPTION',
  ]);
  const id = newUuid();
  if (params.temporary_id !== undefined) context.temporary.set(params.temporary_id, id);
  const startingAt = params.starting_at ?? contractStart;
  const behavior = params.proration?.invoice_behavior ?? 'BILL_IMMEDIATELY';
  const collection = params.collection_schedule;
  const anchor = params.billing_cycle_config?.anchor_date ?? null;
  if (anchor !== null && (collection !== 'ADVANCE' || anchor > startingAt)) {
    throw invalid(
      `Invalid '${where}.billing_cycle_config.anchor_date': goes with ADVANCE, and not after the start.`,
    );
  }
  const seats = seatsOf(params, startingAt, where);
  return {
    id,
    name: params.name === undefined || params.name === '' ? product.name : params.name,
    givenName: params.name ?? null,
    description: params.description ?? null,
    customFields: params.custom_fields ?? {},
    productId,
    frequency,
    collection,
    proration: {
      isProrated: params.proration?.is_prorated ?? false,
      behavior: collection === 'ARREARS' ? 'BILL_ON_NEXT_COLLECTION_DATE' : behavior,
      rounding: roundingOf(params.proration?.rounding),
    },
    placement: params.billing_cycle_config?.invoice_placement ?? 'ON_USAGE_INVOICE',
    anchor,
    startingAt,
    endingBefore: params.ending_before ?? null,
    quantities: [{ startingAt, quantity: seats.quantity }],
    mode: params.quantity_management_mode ?? 'QUANTITY_ONLY',
    seatGroupKey: params.seat_config?.seat_group_key ?? null,
    seats: seats.changes,
  };
}

function seatsOf(
  params: z.output<typeof subscriptionParams>,
  startingAt: Instant,
  where: string,
): { quantity: Decimal; changes: StoredSubscription['seats'] } {
  if ((params.quantity_management_mode ?? 'QUANTITY_ONLY') === 'QUANTITY_ONLY') {
    if (params.initial_quantity === undefined)
      throw invalid(`Invalid '${where}.initial_quantity': is required.`);
    return { quantity: params.initial_quantity, changes: [] };
  }
  if (params.seat_config === undefined) throw invalid(`Invalid '${where}.seat_config': is required.`);
  if (params.initial_quantity !== undefined) {
    throw invalid(`Invalid '${where}.initial_quantity': SEAT_BASED takes its quantity from seat_config.`);
  }
  const seatIds = [...new Set(params.seat_config.initial_seat_ids ?? [])];
  const seats = { startingAt, seatIds, unassigned: params.seat_config.initial_unassigned_seats ?? ZERO };
  checkSeatCount(seats, `${where}.seat_config`);
  return { quantity: seatCount(seats), changes: [seats] };
}

/** Seats are whole, and at most a thousand (docs.metronome.com, "manage seats": the default limit). */
export function checkSeatCount(seats: SeatChange, where: string): void {
  const count = seatCount(seats);
  if (compare(roundToScale(count, 0, 'floor'), count) !== 0)
    throw invalid(`Invalid '${where}': seats are whole.`);
  if (compare(count, SEATS_MAX) > 0) throw invalid(`Invalid '${where}': at most ${toText(SEATS_MAX)} seats.`);
}
