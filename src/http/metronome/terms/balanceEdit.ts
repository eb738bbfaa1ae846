import type { AccessSegment, InvoiceSchedule, ScheduleItem } from '../../../domain/contract/balanceTerms.js';
import type { BalanceRecord } from '../../../domain/contract/contract.js';
import { isIndividual } from '../../../domain/contract/seatLedger.js';
import { type Decimal, multiply, ONE } from '../../../domain/decimal.js';
import { invalid, notFound } from '../../../domain/errors.js';
import { applicabilityOf } from './applicability.js';
import { checkPostpaid, priorityOf } from './balances.js';
import { requireProduct, type TermsContext, under } from './context.js';
import type { AccessEdit, CommitEdit, InvoiceEdit } from './edit.js';
import { scheduleItemOf, segmentOf } from './schedules.js';

/** What of a balance final invoices stand on, so that it may not change. */
export interface Frozen {
  /** Segments that final invoices draw on. */
  segments: ReadonlySet<string>;
  /** Schedule items that are invoiced, and whether by a voided invoice. */
  items: ReadonlyMap<string, { voided: boolean }>;
}

/** The balance after an edit (docs.metronome.com, "edit a contract"). Refuses to change what is final. */
export function editedBalance(
  context: TermsContext,
  balance: BalanceRecord,
  edit: CommitEdit,
  frozen: Frozen,
  where: string,
): BalanceRecord {
  const named = under(where, balance.type === 'CREDIT' ? 'credit_id' : 'commit_id');
  if (balance.origin === 'rollover')
    throw invalid(`Invalid '${named}': a rolled-over balance cannot be edited.`);
  if (balance.archivedAt !== null) throw invalid(`Invalid '${named}': is archived.`);
  if (edit.access_schedule !== undefined && isIndividual(balance)) {
    checkSeatAccess(edit.access_schedule, under(where, 'access_schedule'));
  }
  const product =
    edit.product_id === undefined
      ? null
      : requireProduct(context, edit.product_id, under(where, 'product_id'), ['FIXED']);
  const scoped =
    edit.applicable_product_ids !== undefined ||
    edit.applicable_product_tags !== undefined ||
    edit.specifiers !== undefined;
  const edited: BalanceRecord = {
    ...balance,
    ...(product === null ? {} : { productId: product.id }),
    ...(edit.name === undefined ? {} : { name: edit.name, givenName: edit.name }),
    ...(edit.description === undefined ? {} : { description: edit.description }),
    ...(edit.priority === undefined
      ? {}
      : { priority: edit.priority === null ? null : priorityOf(edit.priority) }),
    ...(edit.rollover_fraction === undefined ? {} : { rolloverFraction: edit.rollover_fraction }),
    ...(edit.rate_type === undefined ? {} : { rateType: edit.rate_type }),
    ...(scoped ? { applicability: applicabilityOf(context, scopeOf(balance, edit), where) } : {}),
    ...(edit.access_schedule === undefined
      ? {}
      : {
          access: editedAccess(balance.access, edit.access_schedule, frozen, under(where, 'access_schedule')),
        }),
    ...(edit.invoice_schedule === undefined
      ? {}
      : {
          invoiceSchedule: editedInvoice(
            context,
            balance,
            edit.invoice_schedule,
            frozen,
            under(where, 'invoice_schedule'),
          ),
        }),
  };
  if (edit.access_schedule !== undefined || edit.invoice_schedule !== undefined) checkPostpaid(edited, where);
  return edited;
}

/** What single seats get follows from the seats; only when it ends is anyone's to say. */
function checkSeatAccess(edit: AccessEdit, where: string): void {
  const updates = edit.update_schedule_items ?? [];
  const others = [...(edit.add_schedule_items ?? []), ...(edit.remove_schedule_items ?? [])];
  if (others.length > 0 || updates.some((one) => one.amount !== undefined || one.starting_at !== undefined)) {
    throw invalid(`Invalid '${where}': of what single seats have, only ending_before can be changed.`);
  }
}

/** What the edit does not name stays; null clears it. */
function scopeOf({ applicability }: BalanceRecord, edit: CommitEdit) {
  const { productIds, productTags } = applicability;
  return {
    applicable_product_ids:
      edit.applicable_product_ids === undefined ? [...productIds] : edit.applicable_product_ids,
    applicable_product_tags:
      edit.applicable_product_tags === undefined ? [...productTags] : edit.applicable_product_tags,
    specifiers: edit.specifiers ?? null,
  };
}

function editedAccess(
  access: readonly AccessSegment[],
  edit: AccessEdit,
  frozen: Frozen,
  where: string,
): AccessSegment[] {
  let segments = [...access];
  for (const { id } of edit.remove_schedule_items ?? []) {
    if (!segments.some((one) => one.id === id)) throw notFound('schedule item', id, where);
    if (frozen.segments.has(id)) {
      throw invalid(`Invalid '${where}': segment ${id} is used by a finalized invoice; void it first.`);
    }
    segments = segments.filter((one) => one.id !== id);
  }
  for (const change of edit.update_schedule_items ?? []) {
    const before = segments.find(({ id }) => id === change.id);
    if (before === undefined) throw notFound('schedule item', change.id, where);
    const after = {
      ...before,
      amount: change.amount ?? before.amount,
      startingAt: change.starting_at ?? before.startingAt,
      endingBefore: change.ending_before ?? before.endingBefore,
    };
    if (after.endingBefore <= after.startingAt) {
      throw invalid(`Invalid '${where}': ending_before must be after starting_at.`);
    }
    segments = segments.map((one) => (one.id === change.id ? after : one));
  }
  const added = (edit.add_schedule_items ?? []).map((item, index) =>
    segmentOf(item, `${where}.add_schedule_items[${index}]`),
  );
  return [...segments, ...added].sort((a, b) => a.startingAt - b.startingAt);
}

function editedInvoice(
  context: TermsContext,
  balance: BalanceRecord,
  edit: InvoiceEdit,
  frozen: Frozen,
  where: string,
): InvoiceSchedule {
  const isCurrency = context.units.get(balance.creditTypeId)?.isCurrency === true;
  const schedule = balance.invoiceSchedule ?? {
    creditTypeId: isCurrency ? balance.creditTypeId : context.defaultUnit,
    items: [],
    doNotInvoice: false,
  };
  return { ...schedule, items: editedItems(schedule.items, edit, frozen, where) };
}

/** The items of a schedule after an edit; what is invoiced stays as it is, a voided one may change and not go. */
export function editedItems(
  before: readonly ScheduleItem[],
  edit: InvoiceEdit,
  frozen: Frozen,
  where: string,
): ScheduleItem[] {
  let items = [...before];
  for (const { id } of edit.remove_schedule_items ?? []) {
    if (!items.some((one) => one.id === id)) throw notFound('schedule item', id, where);
    if (frozen.items.has(id)) throw invalid(`Invalid '${where}': item ${id} is on a finalized invoice.`);
    items = items.filter((one) => one.id !== id);
  }
  for (const change of edit.update_schedule_items ?? []) {
    const item = items.find(({ id }) => id === change.id);
    if (item === undefined) throw notFound('schedule item', change.id, where);
    if (frozen.items.get(change.id)?.voided === false) {
      throw invalid(`Invalid '${where}': item ${change.id} is on a finalized invoice; void it first.`);
    }
    const priced = pricedAnew(item, change);
    items = items.map((one) =>
      one.id === change.id ? { ...one, ...priced, timestamp: change.timestamp ?? one.timestamp } : one,
    );
  }
  const added = (edit.add_schedule_items ?? []).map((item, index) =>
    scheduleItemOf(item, `${where}.add_schedule_items[${index}]`),
  );
  return [...items, ...added].sort((a, b) => a.timestamp - b.timestamp);
}

function pricedAnew(
  item: ScheduleItem,
  change: { amount?: Decimal | undefined; unit_price?: Decimal | undefined; quantity?: Decimal | undefined },
): Pick<ScheduleItem, 'amount' | 'unitPrice' | 'quantity'> {
  if (change.amount !== undefined) return { amount: change.amount, unitPrice: change.amount, quantity: ONE };
  const unitPrice = change.unit_price ?? item.unitPrice;
  const quantity = change.quantity ?? item.quantity;
  return { amount: multiply(unitPrice, quantity), unitPrice, quantity };
}
