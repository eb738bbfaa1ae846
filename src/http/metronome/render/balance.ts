import { balanceAt, ledgerAt, ledgerTypeName } from '../../../domain/contract/balance.js';
import type { LedgerEntry } from '../../../domain/contract/balanceTerms.js';
import type { BalanceRecord } from '../../../domain/contract/contract.js';
import type { Applicability } from '../../../domain/contract/terms.js';
import type { Instant } from '../../../domain/period.js';
import { type JsonObject, type JsonValue, jsonNumber } from '../../../json.js';
import { creditType, rfc3339 } from '../render.js';
import { present, type Units } from './common.js';

/** What commits and credits show beside themselves. */
export interface BalanceContext {
  units: Units;
  products: ReadonlyMap<string, { name: string }>;
  at: Instant;
  /** By line key, the invoice that has or will have the purchase. */
  invoiceOf: ReadonlyMap<string, string | null>;
  includeBalance: boolean;
  includeLedger: boolean;
}

/** Metronome's commit or credit (docs.metronome.com/api-reference/credits-and-commits). */
export function balanceObject(context: BalanceContext, balance: BalanceRecord): JsonObject {
  const isCredit = balance.type === 'CREDIT';
  const archived = balance.archivedAt !== null;
  return {
    id: balance.id,
    type: balance.type,
    product: {
      id: balance.productId,
      name: context.products.get(balance.productId)?.name ?? balance.productId,
    },
    created_at: rfc3339(balance.createdAt),
    rate_type: balance.rateType,
    access_schedule: {
      credit_type: creditType(context.units, balance.creditTypeId),
      schedule_items: balance.access.map(({ id, amount, startingAt, endingBefore }) => ({
        id,
        amount: jsonNumber(amount),
        starting_at: rfc3339(startingAt),
        ending_before: rfc3339(endingBefore),
      })),
    },
    ...present({
      name: balance.givenName ?? undefined,
      description: balance.description ?? undefined,
      priority: balance.priority ?? undefined,
      contract: balance.contractId === null ? undefined : { id: balance.contractId },
      applicable_contract_ids: balance.applicableContractIds ?? undefined,
      subscription_config: seatConfig(balance),
      rollover_fraction: balance.rolloverFraction === null ? undefined : jsonNumber(balance.rolloverFraction),
      uniqueness_key: balance.uniquenessKey ?? undefined,
      archived_at: balance.archivedAt === null ? undefined : rfc3339(balance.archivedAt),
    }),
    ...applicabilityObject(balance.applicability),
    ...(balance.rolledOverFrom === null ? {} : { rolled_over_from: rolledOverFrom(balance, isCredit) }),
    ...(balance.recurringId === null
      ? {}
      : { [isCredit ? 'recurring_credit_id' : 'recurring_commit_id']: balance.recurringId }),
    ...(isCredit ? {} : purchase(context, balance)),
    ...(balance.countsAsDiscounted ? { spend_tracker_attributes: { counts_as_discounted: true } } : {}),
    custom_fields: balance.customFields,
    ...(context.includeBalance ? { balance: jsonNumber(balanceAt(balance, context.at)) } : {}),
    ...(context.includeLedger && !archived ? { ledger: ledger(balance, context.at) } : {}),
  };
}

function seatConfig({ seats }: BalanceRecord): JsonValue {
  if (seats === undefined) return undefined;
  return {
    subscription_id: seats.subscriptionId,
    allocation: seats.allocation,
    apply_seat_increase_config: { is_prorated: seats.prorateIncreases },
  };
}

function rolledOverFrom(balance: BalanceRecord, isCredit: boolean): JsonObject {
  const { balanceId, contractId } = balance.rolledOverFrom ?? { balanceId: '', contractId: '' };
  return { [isCredit ? 'credit_id' : 'commit_id']: balanceId, contract_id: contractId };
}

export function applicabilityObject({ productIds, productTags, specifiers }: Applicability): JsonObject {
  return present({
    applicable_product_ids: productIds.length === 0 ? undefined : productIds,
    applicable_product_tags: productTags.length === 0 ? undefined : productTags,
    specifiers:
      specifiers.length === 0
        ? undefined
        : specifiers.map((one) =>
            present({
              product_id: one.productId ?? undefined,
              product_tags: one.productTags.length === 0 ? undefined : one.productTags,
              pricing_group_values: filled(one.pricingGroupValues),
              presentation_group_values: filled(one.presentationGroupValues),
              exclude:
                one.excludedTags.length === 0
                  ? undefined
                  : one.excludedTags.map((tags) => ({ product_tags: tags })),
            }),
          ),
  });
}

function filled(values: Readonly<Record<string, string | null>>): JsonValue {
  return Object.keys(values).length === 0 ? undefined : values;
}

function purchase(context: BalanceContext, balance: BalanceRecord): JsonObject {
  const { invoiceSchedule: schedule, invoiceContractId } = balance;
  return {
    ...(invoiceContractId === null ? {} : { invoice_contract: { id: invoiceContractId } }),
    ...(schedule === null
      ? {}
      : {
          invoice_schedule: {
            credit_type: creditType(context.units, schedule.creditTypeId),
            do_not_invoice: schedule.doNotInvoice,
            schedule_items: schedule.items.map(({ id, timestamp, amount, unitPrice, quantity }) => ({
              id,
              timestamp: rfc3339(timestamp),
              amount: jsonNumber(amount),
              unit_price: jsonNumber(unitPrice),
              quantity: jsonNumber(quantity),
              invoice_id: context.invoiceOf.get(`purchase/${id}`) ?? null,
            })),
          },
        }),
  };
}

function ledger(balance: BalanceRecord, at: Instant): JsonObject[] {
  return ledgerAt(balance, at).map((entry) => entryObject(balance, entry));
}

function entryObject(balance: BalanceRecord, entry: LedgerEntry): JsonObject {
  return {
    type: ledgerTypeName(balance.type, entry.type),
    timestamp: rfc3339(entry.timestamp),
    amount: jsonNumber(entry.amount),
    segment_id: entry.segmentId,
    ...present({
      invoice_id: entry.invoiceId ?? undefined,
      contract_id: entry.contractId ?? undefined,
      new_contract_id: entry.newContractId ?? undefined,
      reason: entry.reason ?? undefined,
    }),
  };
}
