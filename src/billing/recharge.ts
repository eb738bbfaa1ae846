import type { Core } from '../core.js';
import { servesContract } from '../domain/contract/applicability.js';
import { netBalance } from '../domain/contract/balance.js';
import {
  type BalanceRecord,
  type ContractRecord,
  type SpendThresholdTerms,
  termsOf,
  type ThresholdDiscountTerms,
} from '../domain/contract/contract.js';
import type { DraftInvoice } from '../domain/contract/draft.js';
import { isIndividual } from '../domain/contract/seatLedger.js';
import { scheduledTotal } from '../domain/contract/schedule.js';
import { accumulatedSpend } from '../domain/contract/spendTracker.js';
import { statementAt } from '../domain/contract/statement.js';
import type { RateCard } from '../domain/contract/terms.js';
import {
  rechargeFor,
  spendChargeFor,
  THRESHOLD_COMMIT_PRIORITY,
  type ThresholdDiscount,
  type TopUp,
} from '../domain/contract/threshold.js';
import { add, type Decimal, ONE, subtract, toText, ZERO } from '../domain/decimal.js';
import { notFound } from '../domain/errors.js';
import { boundary, type Instant, type Period } from '../domain/period.js';
import { jsonNumber } from '../json.js';
import { insertBalance } from '../storage/balances.js';
import { loadProducts } from '../storage/contractProducts.js';
import { findContract, updateContract } from '../storage/contracts.js';
import { type CustomerRecord, findCustomer } from '../storage/customers.js';
import type { Transaction } from '../storage/db.js';
import type { CustomFieldFilter } from '../storage/thresholdAlerts.js';
import {
  closeThresholdPayment,
  findPendingPayments,
  findThresholdPayment,
  insertThresholdPayment,
  type ThresholdKind,
} from '../storage/thresholdPayments.js';
import { customerNow } from './clock.js';
import { firstLifecycleEvent } from '../domain/contract/lifecycle.js';
import { newUuid } from './contracts/ids.js';
import type { OpenInvoices } from './contracts/open.js';
import { contractsChanged } from './contracts/plan.js';
import { emitEvent } from './events.js';
import { isExcluded } from './thresholdReadings.js';
import { requireByAnyId } from './thresholdAlerts.js';

const HOUR_MS = 3_600_000;

interface Purchase {
  kind: ThresholdKind;
  contract: ContractRecord;
  card: RateCard;
  terms: SpendThresholdTerms;
  /** The unit of the access; the invoice is in the card's currency. */
  unit: string;
  topUp: TopUp;
  access: Period;
  /** What was read when the threshold was reached. */
  reading: Decimal;
}

/**
 * Buys what the thresholds of the customer's contracts ask for: at most one top-up for each of them, and none while
 * one waits for its payment. The caller holds the customer's row, so a crossing is answered once. Returns whether
 * anything was bought or asked to be paid; usage that has eaten a top-up already is for the next look.
 */
export async function evaluateThresholds(
  tx: Transaction,
  core: Core,
  accountId: string,
  customer: CustomerRecord,
  open: OpenInvoices,
  at: Instant,
): Promise<boolean> {
  const wanted = open.state.contracts.flatMap(({ contract, card }) => {
    const begun = contract.startingAt <= at && (contract.endingBefore === null || at < contract.endingBefore);
    if (!begun) return [];
    return [prepaidPurchase(open, contract, card, at), spendPurchase(open, contract, card, at)].filter(
      (purchase) => purchase !== null,
    );
  });
  if (wanted.length === 0) return false;
  const pending = await findPendingPayments(
    tx,
    accountId,
    wanted.map(({ contract }) => contract.id),
  );
  let bought = false;
  for (const purchase of wanted) {
    const { contract, kind } = purchase;
    if (pending.some((payment) => payment.contractId === contract.id && payment.kind === kind)) continue;
    await buy(tx, core, accountId, customer, purchase, at);
    bought = true;
  }
  return bought;
}

/** Whether the contract has a threshold that usage can reach. */
export function hasThreshold({ document }: ContractRecord): boolean {
  return document.prepaidThreshold?.isEnabled === true || document.spendThreshold?.isEnabled === true;
}

function prepaidPurchase(
  open: OpenInvoices,
  contract: ContractRecord,
  card: RateCard,
  at: Instant,
): Purchase | null {
  const terms = contract.document.prepaidThreshold;
  if (terms === null || !terms.isEnabled) return null;
  const unit = terms.customCreditTypeId ?? card.fiatCreditTypeId;
  const excluded = excludedSets(terms.balanceSpecifiers);
  const balances = open.balances.filter(
    (balance) =>
      servesContract(balance, contract.id) && !isIndividual(balance) && !isExcluded(balance, excluded),
  );
  const reading = netBalance(balances, unit, at, [{ types: ['PREPAID', 'CREDIT'], ids: null }]);
  const fiatPerUnit = unit === card.fiatCreditTypeId ? ONE : card.fiatPerUnit.get(unit);
  if (fiatPerUnit === undefined) return null;
  const topUp = rechargeFor(
    {
      isEnabled: true,
      threshold: terms.threshold,
      rechargeTo: terms.rechargeTo,
      fiatPerUnit,
      discount: discountOf(terms.discount, open, contract, at),
    },
    reading,
    currencyOf(open, card),
  );
  if (topUp === null) return null;
  // Usage is kept by the hour: a segment that begins inside one would not pay for the rest of it.
  const start = Math.max(at - (at % HOUR_MS), contract.startingAt);
  const end = contract.endingBefore ?? boundary(start, { unit: 'year', count: 1 }, 1);
  return { kind: 'prepaid', contract, card, terms, unit, topUp, access: { start, end }, reading };
}

function spendPurchase(
  open: OpenInvoices,
  contract: ContractRecord,
  card: RateCard,
  at: Instant,
): Purchase | null {
  const terms = contract.document.spendThreshold;
  if (terms === null || !terms.isEnabled) return null;
  const drafts = open.drafts.filter(
    ({ contractId, type, creditTypeId }) =>
      contractId === contract.id && type === 'USAGE' && creditTypeId === card.fiatCreditTypeId,
  );
  const periods = drafts.flatMap(({ period }) => (period === null ? [] : [period]));
  if (periods.length === 0) return null;
  const reading = drafts.reduce((sum, draft) => add(sum, coverable(draft)), ZERO);
  const topUp = spendChargeFor(
    { isEnabled: true, threshold: terms.threshold, discount: discountOf(terms.discount, open, contract, at) },
    reading,
    currencyOf(open, card),
  );
  if (topUp === null) return null;
  // Late usage is on the draft with the time of its own statement.
  const late = drafts.flatMap(({ lines }) => lines.flatMap((line) => (line.isLate ? [line.period] : [])));
  const access = {
    start: Math.min(...[...periods, ...late].map((period) => period?.start ?? at)),
    end: Math.max(...periods.map(({ end }) => end)),
  };
  return { kind: 'spend', contract, card, terms, unit: card.fiatCreditTypeId, topUp, access, reading };
}

/** What a commit could still pay of a draft: without scheduled charges and what custom units convert to. */
function coverable({ total, lines }: DraftInvoice): Decimal {
  return lines
    .filter(({ type }) => type === 'scheduled' || type === 'cpu_conversion')
    .reduce((sum, line) => subtract(sum, line.total), total);
}

function currencyOf(open: OpenInvoices, card: RateCard) {
  const currency = open.state.units.get(card.fiatCreditTypeId);
  if (currency === undefined) throw new Error(`unknown pricing unit ${card.fiatCreditTypeId}`);
  return currency;
}

/** The discount with what its tracker has counted in this billing period. */
function discountOf(
  terms: ThresholdDiscountTerms | null,
  open: OpenInvoices,
  contract: ContractRecord,
  at: Instant,
): ThresholdDiscount | null {
  if (terms === null) return null;
  if (terms.cap === null) return { paymentFraction: terms.paymentFraction, cap: null };
  const { spendTrackerAlias, amount } = terms.cap;
  const period = statementAt(termsOf(contract), at);
  const tracker = contract.document.spendTrackers.find(({ alias }) => alias === spendTrackerAlias);
  if (tracker === undefined) throw new Error(`contract ${contract.id} has no tracker ${spendTrackerAlias}`);
  const accumulated = period === null ? ZERO : accumulatedSpend(tracker, open.balances, contract.id, period);
  return { paymentFraction: terms.paymentFraction, cap: { amount, accumulated } };
}

interface RawSpecifier {
  exclude?: readonly { custom_field_filters?: readonly CustomFieldFilter[] }[];
}

/** `threshold_balance_specifiers`: their `exclude` entries are alternatives. */
function excludedSets(specifiers: unknown): CustomFieldFilter[][] {
  if (!Array.isArray(specifiers)) return [];
  return (specifiers as RawSpecifier[])
    .flatMap(({ exclude }) => exclude ?? [])
    .map(({ custom_field_filters: filters }) =>
      (filters ?? []).map(({ entity, key, value }) => ({ entity, key, value: value ?? null })),
    );
}

async function buy(
  tx: Transaction,
  core: Core,
  accountId: string,
  customer: CustomerRecord,
  purchase: Purchase,
  at: Instant,
): Promise<void> {
  const { contract, kind, terms } = purchase;
  const balance = await commitOf(tx, accountId, customer, purchase, at);
  await emitGate(tx, accountId, customer, contract, 'threshold_reached', at, {
    workflow_type: kind === 'spend' ? 'spend' : 'prepaid_balance',
    threshold: jsonNumber(terms.threshold),
    reading: jsonNumber(purchase.reading),
  });
  if (terms.gate.type === 'NONE') {
    await insertBalance(tx, accountId, balance);
    await contractsChanged(tx, core, accountId, customer, at, firstLifecycleEvent([], [balance], at));
    return;
  }
  const id = newUuid();
  await insertThresholdPayment(tx, accountId, {
    id,
    customerId: customer.id,
    contractId: contract.id,
    kind,
    status: 'pending',
    balance,
    createdAt: at,
  });
  await emitGate(tx, accountId, customer, contract, 'external_initiate', at, {
    workflow_id: id,
    workflow_type: kind === 'spend' ? 'spend' : 'prepaid_balance',
    invoice_total: jsonNumber(purchase.topUp.invoice),
    invoice_currency: purchase.card.fiatCreditTypeId,
  });
}

/** The commit that a top-up makes (docs.metronome.com, "prepaid balance thresholds", "set customer spend control"). */
async function commitOf(
  tx: Transaction,
  accountId: string,
  customer: CustomerRecord,
  { kind, contract, card, terms, unit, topUp, access }: Purchase,
  at: Instant,
): Promise<BalanceRecord> {
  const { commit } = terms;
  const product = (await loadProducts(tx, accountId, at)).get(commit.productId);
  const item = {
    id: newUuid(),
    timestamp: at,
    amount: topUp.invoice,
    unitPrice: topUp.invoice,
    quantity: ONE,
  };
  return {
    id: newUuid(),
    type: 'PREPAID',
    name: commit.name ?? product?.name ?? 'Threshold commit',
    productId: commit.productId,
    creditTypeId: unit,
    priority: commit.priority ?? THRESHOLD_COMMIT_PRIORITY,
    rateType: 'LIST_RATE',
    access: [{ id: newUuid(), amount: topUp.access, startingAt: access.start, endingBefore: access.end }],
    invoiceSchedule: { creditTypeId: card.fiatCreditTypeId, items: [item], doNotInvoice: false },
    rolloverFraction: null,
    applicability: {
      productIds: commit.applicableProductIds,
      productTags: commit.applicableProductTags,
      specifiers: commit.specifiers,
    },
    contractId: contract.id,
    applicableContractIds: null,
    rolledOverFrom: null,
    recurringId: null,
    createdAt: at,
    archivedAt: null,
    entries: [],
    trueUpDisabled: false,
    customerId: customer.id,
    givenName: commit.name,
    description: commit.description,
    customFields: {},
    uniquenessKey: null,
    invoiceContractId: null,
    countsAsDiscounted: topUp.isDiscounted,
    origin: kind === 'spend' ? 'spend_threshold' : 'threshold_recharge',
  };
}

/**
 * The answer of whoever took the payment: paid makes the commit, failed switches the threshold off until somebody
 * switches it on again. The same answer again does nothing.
 */
export async function releaseThreshold(
  tx: Transaction,
  core: Core,
  accountId: string,
  workflowId: string,
  outcome: 'paid' | 'failed',
): Promise<void> {
  const payment = await findThresholdPayment(tx, accountId, workflowId);
  if (payment === null) throw notFound('workflow', workflowId, 'workflow_id');
  const customer = await findCustomer(tx, accountId, payment.customerId, 'update');
  const contract = await findContract(tx, accountId, payment.contractId, true);
  if (customer === null || contract === null) throw notFound('workflow', workflowId, 'workflow_id');
  const at = await customerNow(tx, core, accountId, customer);
  if (!(await closeThresholdPayment(tx, accountId, workflowId, outcome, at))) return;
  const bought = outcome === 'paid' ? [payment.balance] : [];
  for (const balance of bought) await insertBalance(tx, accountId, balance);
  if (outcome === 'failed') {
    await updateContract(tx, accountId, switchedOff(contract, payment.kind), at);
  }
  await emitGate(tx, accountId, customer, contract, 'payment_status', at, {
    workflow_id: workflowId,
    workflow_type: payment.kind === 'spend' ? 'spend' : 'prepaid_balance',
    payment_status: outcome,
    invoice_total: toText(scheduledTotal(payment.balance.invoiceSchedule)),
  });
  await contractsChanged(tx, core, accountId, customer, at, firstLifecycleEvent([], bought, at));
}

function switchedOff(contract: ContractRecord, kind: ThresholdKind): ContractRecord {
  const { document } = contract;
  const { prepaidThreshold: prepaid, spendThreshold: spend } = document;
  return {
    ...contract,
    document: {
      ...document,
      prepaidThreshold: kind === 'prepaid' && prepaid !== null ? { ...prepaid, isEnabled: false } : prepaid,
      spendThreshold: kind === 'spend' && spend !== null ? { ...spend, isEnabled: false } : spend,
    },
  };
}

async function emitGate(
  tx: Transaction,
  accountId: string,
  customer: CustomerRecord,
  contract: ContractRecord,
  what: 'threshold_reached' | 'payment_status' | 'external_initiate',
  at: Instant,
  properties: Readonly<Record<string, ReturnType<typeof jsonNumber> | string>>,
): Promise<void> {
  const { uuid } = await requireByAnyId(tx, accountId, customer.id);
  await emitEvent(tx, {
    accountId,
    livemode: customer.livemode,
    type: `payment_gate.${what}`,
    at,
    object: {
      id: contract.id,
      object: 'payment_gate',
      customer_id: uuid,
      contract_id: contract.id,
      timestamp: new Date(at).toISOString(),
      ...properties,
    },
  });
}
