import type { z } from 'zod';
import { newUuid } from '../../../billing/contracts/ids.js';
import type { AccessSegment, InvoiceSchedule } from '../../../domain/contract/balanceTerms.js';
import type { BalanceRecord } from '../../../domain/contract/contract.js';
import { compare, ONE, ZERO } from '../../../domain/decimal.js';
import { invalid } from '../../../domain/errors.js';
import type { Instant } from '../../../domain/period.js';
import { anyObject, boolean, customFields, decimal, object, oneOf, text, uuid } from '../params.js';
import { applicabilityFields, applicabilityOf } from './applicability.js';
import { requireProduct, requireUnit, type TermsContext, under } from './context.js';
import { accessSchedule, invoiceSchedule, invoiceScheduleOf, segmentOf } from './schedules.js';

const shared = {
  product_id: uuid(),
  name: text({ min: 0 }).optional(),
  description: text({ min: 0 }).optional(),
  rate_type: oneOf(['LIST_RATE', 'COMMIT_RATE']).optional(),
  rollover_fraction: decimal({ min: ZERO, max: ONE }).optional(),
  custom_fields: customFields().optional(),
  netsuite_sales_order_id: text().optional(),
  salesforce_opportunity_id: text().optional(),
  hierarchy_configuration: anyObject().optional(),
  temporary_id: text().optional(),
  ...applicabilityFields,
};

const commitFields = {
  ...shared,
  type: oneOf(['PREPAID', 'POSTPAID']),
  access_schedule: accessSchedule.optional(),
  invoice_schedule: invoiceSchedule.optional(),
  spend_tracker_attributes: object({ counts_as_discounted: boolean() }).optional(),
};

const creditFields = { ...shared, access_schedule: accessSchedule };

export const contractCommit = object({
  ...commitFields,
  priority: decimal().optional(),
  amount: decimal({ min: ZERO }).optional(),
});
/** A commit that an edit adds may be paid for first. */
export const addedCommit = contractCommit.extend({ payment_gate_config: anyObject().optional() });
export const contractCredit = object({ ...creditFields, priority: decimal().optional() });

const customerLevel = {
  customer_id: text({ max: 128 }),
  priority: decimal(),
  applicable_contract_ids: uuid().array().optional(),
  uniqueness_key: text({ max: 128 }).optional(),
};
export const customerCommit = object({
  ...commitFields,
  ...customerLevel,
  invoice_contract_id: uuid().optional(),
});
export const customerCredit = object({ ...creditFields, ...customerLevel });

type CommitParams = z.output<typeof contractCommit>;
type CreditParams = z.output<typeof contractCredit>;

/** Whom a new balance belongs to. */
export interface BalanceOwner {
  customerId: string;
  contractId: string | null;
  applicableContractIds: readonly string[] | null;
  invoiceContractId: string | null;
  uniquenessKey: string | null;
  /** Of the contract; a postpaid commit is due then unless it says otherwise. */
  contractEnd: Instant | null;
}

/** The balance of a credit. */
export function creditOf(
  context: TermsContext,
  params: Omit<CreditParams, 'priority'> & { priority?: CreditParams['priority'] },
  owner: BalanceOwner,
  where: string,
): BalanceRecord {
  const access = accessOf(params.access_schedule.schedule_items, under(where, 'access_schedule'));
  return balanceOf(context, params, owner, where, {
    type: 'CREDIT',
    creditTypeId: requireUnit(
      context,
      params.access_schedule.credit_type_id,
      under(where, 'access_schedule'),
    ),
    access,
    invoice: null,
  });
}

/** The balance of a commit. */
export function commitOf(
  context: TermsContext,
  params: Omit<CommitParams, 'amount'>,
  owner: BalanceOwner,
  where: string,
): BalanceRecord {
  const { access_schedule: schedule, type } = params;
  if (schedule === undefined) throw invalid(`Invalid '${under(where, 'access_schedule')}': is required.`);
  const access = accessOf(schedule.schedule_items, under(where, 'access_schedule'));
  const creditTypeId = requireUnit(
    context,
    schedule.credit_type_id,
    under(where, 'access_schedule.credit_type_id'),
  );
  const invoice =
    params.invoice_schedule === undefined
      ? null
      : invoiceScheduleOf(
          params.invoice_schedule,
          context.units,
          invoiceUnit(context, creditTypeId),
          under(where, 'invoice_schedule'),
        );
  const made =
    type === 'PREPAID'
      ? { access, invoice }
      : { access, invoice: postpaidInvoice(access, invoice, creditTypeId, owner, where) };
  return balanceOf(context, params, owner, where, { type, creditTypeId, ...made });
}

/** A currency is invoiced in itself, a custom unit in the default currency. */
function invoiceUnit(context: TermsContext, creditTypeId: string): string {
  return context.units.get(creditTypeId)?.isCurrency === true ? creditTypeId : context.defaultUnit;
}

/**
 * Exactly one item in each schedule, of equal amounts, dated not before the access ends
 * (docs.metronome.com/api-reference/contracts, postpaid commits).
 */
function postpaidInvoice(
  access: readonly AccessSegment[],
  invoice: InvoiceSchedule | null,
  creditTypeId: string,
  owner: BalanceOwner,
  where: string,
): InvoiceSchedule {
  const [segment] = access;
  if (segment === undefined || access.length !== 1) {
    throw invalid(`Invalid '${under(where, 'access_schedule')}': a postpaid commit has exactly one item.`);
  }
  if (invoice?.doNotInvoice) return invoice;
  if (invoice === null) {
    const { amount } = segment;
    const timestamp = Math.max(owner.contractEnd ?? segment.endingBefore, segment.endingBefore);
    const item = { id: newUuid(), timestamp, amount, unitPrice: amount, quantity: ONE };
    return { creditTypeId, items: [item], doNotInvoice: false };
  }
  checkPostpaid({ type: 'POSTPAID', access, invoiceSchedule: invoice }, where);
  return invoice;
}

/** The rule for postpaid commits; anything else passes. */
export function checkPostpaid(
  { type, access, invoiceSchedule }: Pick<BalanceRecord, 'type' | 'access' | 'invoiceSchedule'>,
  where: string,
): void {
  if (type !== 'POSTPAID') return;
  const [segment] = access;
  if (segment === undefined || access.length !== 1) {
    throw invalid(`Invalid '${under(where, 'access_schedule')}': a postpaid commit has exactly one item.`);
  }
  if (invoiceSchedule === null || invoiceSchedule.doNotInvoice) return;
  const [item] = invoiceSchedule.items;
  if (item === undefined || invoiceSchedule.items.length !== 1) {
    throw invalid(`Invalid '${under(where, 'invoice_schedule')}': a postpaid commit has exactly one item.`);
  }
  if (compare(item.amount, segment.amount) !== 0) {
    throw invalid(
      `Invalid '${under(where, 'invoice_schedule')}': must have the amount of the access schedule.`,
    );
  }
  if (item.timestamp < segment.endingBefore) {
    throw invalid(`Invalid '${under(where, 'invoice_schedule')}': must not be before the end of the access.`);
  }
}

function accessOf(items: Parameters<typeof segmentOf>[0][], where: string): AccessSegment[] {
  return items
    .map((item, index) => segmentOf(item, under(where, `schedule_items[${index}]`)))
    .sort((a, b) => a.startingAt - b.startingAt);
}

type SharedParams = Omit<CommitParams, 'type' | 'access_schedule' | 'invoice_schedule' | 'amount'>;

function balanceOf(
  context: TermsContext,
  params: SharedParams,
  owner: BalanceOwner,
  where: string,
  made: Pick<BalanceRecord, 'type' | 'creditTypeId' | 'access'> & { invoice: InvoiceSchedule | null },
): BalanceRecord {
  const product = requireProduct(context, params.product_id, under(where, 'product_id'), ['FIXED']);
  const id = newUuid();
  if (params.temporary_id !== undefined) context.temporary.set(params.temporary_id, id);
  const { invoice, ...terms } = made;
  return {
    id,
    ...terms,
    name: params.name === undefined || params.name === '' ? product.name : params.name,
    givenName: params.name ?? null,
    description: params.description ?? null,
    customFields: params.custom_fields ?? {},
    productId: product.id,
    priority: params.priority === undefined ? null : priorityOf(params.priority),
    rateType: params.rate_type ?? 'LIST_RATE',
    invoiceSchedule: invoice,
    rolloverFraction: params.rollover_fraction ?? null,
    applicability: applicabilityOf(context, params, where),
    customerId: owner.customerId,
    contractId: owner.contractId,
    applicableContractIds: owner.applicableContractIds,
    invoiceContractId: owner.invoiceContractId,
    uniquenessKey: owner.uniquenessKey,
    rolledOverFrom: null,
    recurringId: null,
    createdAt: context.now,
    archivedAt: null,
    entries: [],
    trueUpDisabled: false,
    countsAsDiscounted: params.spend_tracker_attributes?.counts_as_discounted ?? false,
    origin: 'request',
  };
}

/** Priorities are compared and never calculated with. */
export function priorityOf(priority: NonNullable<SharedParams['priority']>): number {
  return Number(priority.coefficient) / 10 ** priority.scale;
}
