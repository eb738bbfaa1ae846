import type { z } from 'zod';
import {
  type AccessSegment,
  type InvoiceSchedule,
  type ScheduleItem,
} from '../../../domain/contract/balanceTerms.js';
import { expandSchedule, type PlannedItem } from '../../../domain/contract/schedule.js';
import type { PricingUnit } from '../../../domain/contract/terms.js';
import { type Decimal, multiply, ONE, ZERO } from '../../../domain/decimal.js';
import { invalid } from '../../../domain/errors.js';
import { newUuid } from '../../../billing/contracts/ids.js';
import { under } from './context.js';
import { boolean, decimal, hourTimestamp, list, object, oneOf, uuid } from '../params.js';

/** Access and invoice schedules of commits, credits and charges: the request's words and what they mean. */

const amount = decimal({ min: ZERO });

export const accessItem = object({ amount, starting_at: hourTimestamp(), ending_before: hourTimestamp() });

export const accessSchedule = object({
  credit_type_id: uuid().optional(),
  schedule_items: list(accessItem, { min: 1, max: 1000 }),
});

const priced = {
  amount: amount.optional(),
  unit_price: amount.optional(),
  quantity: amount.optional(),
};

export const scheduleItem = object({ timestamp: hourTimestamp(), ...priced });

const recurringSchedule = object({
  starting_at: hourTimestamp(),
  ending_before: hourTimestamp(),
  frequency: oneOf(['WEEKLY', 'MONTHLY', 'QUARTERLY', 'SEMI_ANNUAL', 'ANNUAL']),
  amount_distribution: oneOf(['DIVIDED', 'DIVIDED_ROUNDED', 'EACH']),
  ...priced,
});

export const invoiceSchedule = object({
  credit_type_id: uuid().optional(),
  do_not_invoice: boolean().optional(),
  recurring_schedule: recurringSchedule.optional(),
  schedule_items: list(scheduleItem, { max: 1200 }).optional(),
});

export type AccessItemParams = z.output<typeof accessItem>;
export type ScheduleItemParams = z.output<typeof scheduleItem>;
export type InvoiceScheduleParams = z.output<typeof invoiceSchedule>;

/** A segment from its item. `where` names it in a refusal. */
export function segmentOf(item: AccessItemParams, where: string): AccessSegment {
  if (item.ending_before <= item.starting_at) {
    throw invalid(`Invalid '${where}': ending_before must be after starting_at.`);
  }
  const { amount: granted, starting_at: startingAt, ending_before: endingBefore } = item;
  return { id: newUuid(), amount: granted, startingAt, endingBefore };
}

/** `amount`, or `unit_price` × `quantity`: one of both is given. */
function pricedAs(
  item: { amount?: Decimal | undefined; unit_price?: Decimal | undefined; quantity?: Decimal | undefined },
  where: string,
): Pick<ScheduleItem, 'amount' | 'unitPrice' | 'quantity'> {
  const { amount: whole, unit_price: unitPrice, quantity } = item;
  if (unitPrice !== undefined && quantity !== undefined) {
    return { amount: multiply(unitPrice, quantity), unitPrice, quantity };
  }
  const sum = whole ?? unitPrice;
  if (sum === undefined || quantity !== undefined) {
    throw invalid(`Invalid '${where}': give amount, or unit_price and quantity.`);
  }
  return { amount: sum, unitPrice: sum, quantity: ONE };
}

export function scheduleItemOf(item: ScheduleItemParams, where: string): ScheduleItem {
  return { id: newUuid(), timestamp: item.timestamp, ...pricedAs(item, where) };
}

/** The dated amounts of a schedule, in order of time. */
export function itemsOf(schedule: InvoiceScheduleParams, places: number, where: string): ScheduleItem[] {
  const { schedule_items: items, recurring_schedule: recurring } = schedule;
  if ((items === undefined) === (recurring === undefined)) {
    throw invalid(`Invalid '${where}': give either schedule_items or recurring_schedule.`);
  }
  if (items !== undefined) {
    return items
      .map((item, index) => scheduleItemOf(item, under(where, `schedule_items[${index}]`)))
      .sort((a, b) => a.timestamp - b.timestamp);
  }
  if (recurring === undefined) return [];
  const { unitPrice, quantity } = pricedAs(recurring, under(where, 'recurring_schedule'));
  const planned: PlannedItem[] = expandSchedule(
    {
      startingAt: recurring.starting_at,
      endingBefore: recurring.ending_before,
      frequency: recurring.frequency,
      unitPrice,
      quantity,
      distribution: recurring.amount_distribution,
    },
    places,
  );
  return planned.map((item) => ({ id: newUuid(), ...item }));
}

/** An invoice schedule; nothing to invoice may have no items. */
export function invoiceScheduleOf(
  schedule: InvoiceScheduleParams,
  units: ReadonlyMap<string, PricingUnit>,
  defaultUnit: string,
  where: string,
): InvoiceSchedule {
  const creditTypeId = schedule.credit_type_id ?? defaultUnit;
  const unit = units.get(creditTypeId);
  if (unit === undefined) throw invalid(`Invalid '${under(where, 'credit_type_id')}': no such pricing unit.`);
  if (!unit.isCurrency) throw invalid(`Invalid '${under(where, 'credit_type_id')}': must be a currency.`);
  const doNotInvoice = schedule.do_not_invoice ?? false;
  const empty = schedule.schedule_items === undefined && schedule.recurring_schedule === undefined;
  const items = doNotInvoice && empty ? [] : itemsOf(schedule, unit.places, where);
  return { creditTypeId, items, doNotInvoice };
}
