import type { Core } from '../../core.js';
import type { Balance } from '../../domain/contract/balanceTerms.js';
import { rollOver, withDeductions } from '../../domain/contract/balance.js';
import {
  breakDown,
  type BreakdownWindow,
  windowInstants,
  type WindowSize,
} from '../../domain/contract/breakdown.js';
import { type BalanceRecord, type ContractRecord, termsOf } from '../../domain/contract/contract.js';
import {
  computeUsageInvoice,
  cutInstants,
  type DraftInvoice,
  type ImportedUsage,
  type UsageInvoiceInput,
} from '../../domain/contract/draft.js';
import { type CountedUsage, countedOwn, uncounted } from '../../domain/contract/late.js';
import { statementDate } from '../../domain/contract/issueDates.js';
import { chargeStatement, scheduledInvoices } from '../../domain/contract/scheduledInvoices.js';
import { statementsBetween } from '../../domain/contract/statement.js';
import { billingPeriods } from '../../domain/contract/subscriptions.js';
import type { Instant, Period } from '../../domain/period.js';
import type { CustomerRecord } from '../../storage/customers.js';
import type { Queryable } from '../../storage/db.js';
import { balancesBefore, customerSpend, type SpendElsewhere } from './customerSpend.js';
import { stableId, usageInvoiceId } from './ids.js';
import { balancesTaken, type ImportedStatement, importedStatements, soldIn } from './imported.js';
import {
  billedElsewhere,
  countedOf,
  hasLateUsage,
  lateInvoice,
  lateInvoiceId,
  lateStatements,
} from './late.js';
import { type ContractState, invoicedBy, loadContractState, type OpenContract } from './state.js';
import {
  type ContractProduct,
  createUsageReader,
  type PreviewEvents,
  type UsageReader,
  type UsageRequest,
} from './usage.js';

export interface OpenOptions {
  /** The customer's now: statements begun and grants made by it are seen. */
  at: Instant;
  /** Events that are not stored, for a preview. */
  extraUsage?: PreviewEvents;
  /** Cuts usage at every hour or day, for breakdowns. */
  windows?: WindowSize;
  /** Final usage invoices to break down as well, with the usage known now. */
  finals?: readonly DraftInvoice[];
  /** A voided statement that is to be computed again as if it were open, under a new id. */
  reopen?: Reopened;
  /** Of before the contracts' own statements: computed as if they were open. */
  imports?: readonly ImportedStatement[];
  /** Properties by which usage is rated apart as if every product presented them. */
  presentedBy?: readonly string[];
  /** A contract that was final through its end before it was renewed: its renewal takes over now. */
  handOver?: string;
}

export interface Reopened {
  contractId: string;
  invoiceId: string;
  /** Of the statement; null of one over late usage alone. */
  periodStart: Instant | null;
}

/** The open invoices of a customer, and the balances after all of them. */
export interface OpenInvoices {
  state: ContractState;
  /** Usage drafts by period end, then scheduled ones by date. */
  drafts: DraftInvoice[];
  /** Every commit and credit, archived ones too, with the deductions of the drafts. */
  balances: BalanceRecord[];
  /** By the usage draft's id, what breaks it down; empty without `windows`. */
  breakdowns: Map<string, BreakdownWindow[]>;
  /** By the usage draft's id, the usage that it counts, to be kept when it becomes final. */
  counted: Map<string, () => CountedUsage[]>;
  /** What the next contract takes over from one that is over and not final yet, by the renewal's id. */
  rolledOver: PendingRollover[];
}

export interface PendingRollover {
  fromContractId: string;
  balance: BalanceRecord;
  entries: { balanceId: string; entry: Balance['entries'][number] }[];
}

/**
 * The one computation behind drafts, balances, net balances, ledgers, alerts, holds and previews: every statement
 * that has begun and is not final, each on what the ones before have left, earliest period end first; then the
 * scheduled invoices that are still to come.
 */
export async function openInvoices(
  q: Queryable,
  core: Pick<Core, 'now'>,
  accountId: string,
  customer: CustomerRecord,
  options: OpenOptions,
): Promise<OpenInvoices> {
  return openInvoicesOf(q, await loadContractState(q, core, accountId, customer, options.at), options);
}

/** The same from a state that is loaded already, as of the same instant. */
export function openInvoicesOf(
  q: Queryable,
  state: ContractState,
  options: OpenOptions,
): Promise<OpenInvoices> {
  return computeOpen(state, createUsageReader(q, state.accountId, state.customer.id), options);
}

/** A statement to compute. */
export interface Statement {
  open: OpenContract;
  period: Period;
  invoiceId: string;
  /** Whether it bills what has come late for earlier ones. */
  takesLate?: boolean;
  isReopened?: boolean;
  /** Given instead of metered usage. */
  imported?: ImportedUsage | undefined;
}

interface StatementInput extends UsageInvoiceInput {
  /** Where its usage is cut. */
  usageCuts: readonly Instant[];
}

export async function computeOpen(
  state: ContractState,
  reader: UsageReader,
  options: OpenOptions,
): Promise<OpenInvoices> {
  const result: OpenInvoices = {
    state,
    drafts: [],
    balances: [],
    breakdowns: new Map(),
    counted: new Map(),
    rolledOver: [],
  };
  let balances: BalanceRecord[] = state.balances;
  const statements = openStatements(state, options);
  const elsewhere = await customerSpend(state, reader, options, statements, (statement, own, cuts) =>
    statementInput(state, statement, own, reader, options, cuts),
  );
  const renewed = new Set<string>();
  const renew = (until: Instant) => {
    for (const rollover of pendingRollovers(state, balances, until, renewed, options)) {
      balances = applyRollover(balances, rollover);
      result.rolledOver.push(rollover);
    }
  };
  for (const statement of statements) {
    renew(statement.period.start);
    const own = await statementInput(state, statement, balances, reader, options);
    const input = { ...own, spentElsewhere: elsewhere(statement) };
    const invoice = computeUsageInvoice(input);
    result.drafts.push(invoice);
    // What comes late for an imported period has nothing to be compared with.
    if (statement.imported === undefined) {
      result.counted.set(invoice.invoiceId, () => [
        countedOwn(input, input.usageCuts, invoice.lines),
        ...countedOf(input.late ?? [], invoice),
      ]);
    }
    if (options.windows !== undefined) {
      result.breakdowns.set(invoice.invoiceId, breakDown(input, options.windows));
    }
    balances = balances.map((balance) => asRecord(balance, withDeductions(balance, invoice.deductions)));
  }
  renew(state.at);
  for (const open of state.contracts) {
    const invoice = await lateDraft(state, open, balances, reader, options, result);
    if (invoice === null) continue;
    result.drafts.push(invoice);
    balances = balances.map((balance) => asRecord(balance, withDeductions(balance, invoice.deductions)));
  }
  for (const open of state.contracts) {
    result.drafts.push(...(await scheduledDrafts(state, open, balances, reader)));
  }
  for (const invoice of options.finals ?? []) {
    await breakFinalDown(state, reader, options, invoice, result, elsewhere);
  }
  result.balances = balances;
  return result;
}

/** With the balances as the invoice met them, and the usage known now: late events show in breakdowns only. */
async function breakFinalDown(
  state: ContractState,
  reader: UsageReader,
  options: OpenOptions,
  invoice: DraftInvoice,
  { breakdowns }: OpenInvoices,
  elsewhere: SpendElsewhere,
): Promise<void> {
  const { contractId, period, invoiceId, imported } = invoice;
  const open = state.contracts.find(({ contract }) => contract.id === contractId);
  if (open === undefined || period === null || options.windows === undefined) return;
  const statement = { open, period, invoiceId, imported };
  const before =
    imported === undefined ? balancesBefore(state, statement) : balancesTaken(state.balances, invoice);
  const input = await statementInput(state, statement, before, reader, options);
  breakdowns.set(invoiceId, breakDown({ ...input, spentElsewhere: elsewhere(statement) }, options.windows));
}

function asRecord(record: BalanceRecord, balance: Balance): BalanceRecord {
  return record.entries === balance.entries ? record : { ...record, entries: balance.entries };
}

/** The statements to compute, in the order in which they become final. */
function openStatements(state: ContractState, { reopen, imports = [] }: OpenOptions): Statement[] {
  const statements: Statement[] = importedStatements(state, imports);
  for (const open of state.contracts) {
    const { contract } = open;
    if (contract.rateCardId === null) continue;
    // The first one takes what has come late; a reopened one takes it back that had it before.
    let takesLate = reopen?.contractId !== contract.id && hasLateUsage(state, open);
    for (const period of statementsOf(open, firstOpen(open), state.at + 1)) {
      const invoiceId = usageInvoiceId(state.accountId, contract.id, period.start);
      statements.push({ open, period, invoiceId, takesLate });
      takesLate = false;
    }
    if (reopen?.contractId !== contract.id || reopen.periodStart === null) continue;
    const { invoiceId, periodStart } = reopen;
    const [period] = statementsBetween(termsOf(contract), periodStart, periodStart + 1);
    const isLateBilled = state.lateUsage === 'bill';
    if (period !== undefined) {
      statements.push({ open, period, invoiceId, takesLate: isLateBilled, isReopened: true });
    }
  }
  return statements.sort((a, b) => a.period.end - b.period.end || a.period.start - b.period.start);
}

/** Where the statements that are not final begin. */
export function firstOpen({ contract, closedThrough }: OpenContract): Instant {
  return Math.max(closedThrough ?? contract.startingAt, contract.startingAt);
}

/** The statements in `[from, to)`; where one that is final ended early, the next goes on from there. */
export function statementsOf(
  { contract, closedThrough }: OpenContract,
  from: Instant,
  to: Instant,
): Period[] {
  return statementsBetween(termsOf(contract), from, to).map(({ start, end }) => {
    const cut = closedThrough !== null && start < closedThrough && closedThrough < end;
    return { start: cut ? closedThrough : start, end };
  });
}

/** The late statement of a contract that has no other one left, or of one that is made anew. */
async function lateDraft(
  state: ContractState,
  open: OpenContract,
  balances: readonly Balance[],
  reader: UsageReader,
  { reopen }: OpenOptions,
  { counted }: OpenInvoices,
): Promise<DraftInvoice | null> {
  const isReopened = reopen?.contractId === open.contract.id && reopen.periodStart === null;
  if (!isReopened && (!hasLateUsage(state, open) || reopen?.contractId === open.contract.id)) return null;
  const { closedThrough } = open;
  if (closedThrough === null || (!isReopened && firstOpenStatement(open) !== null)) return null;
  const late = await lateStatements(state, open, closedThrough, reader);
  const products = await reader.products(open.card, closedThrough - 1);
  const invoiceId = isReopened ? reopen.invoiceId : lateInvoiceId(state, open);
  const invoice = lateInvoice(state, open, late, balances, products, invoiceId);
  if (invoice !== null) counted.set(invoiceId, () => countedOf(late, invoice));
  return invoice;
}

/** The contract's first statement that is not final, begun or not; null where there is none left. */
export function firstOpenStatement(open: OpenContract): Period | null {
  const { rateCardId, document } = open.contract;
  if (rateCardId === null) return null;
  const generated = document.statements.generationStartingAt ?? Number.NEGATIVE_INFINITY;
  const from = Math.max(firstOpen(open), generated);
  return statementsOf(open, from, from + 1)[0] ?? null;
}

async function statementInput(
  state: ContractState,
  { open, period, invoiceId, takesLate, isReopened, imported }: Statement,
  balances: readonly Balance[],
  reader: UsageReader,
  options: OpenOptions,
  furtherCuts: readonly Instant[] = [],
): Promise<StatementInput> {
  const { contract, card, rates } = open;
  const terms = termsOf(contract);
  const at = Math.min(Math.max(state.at, period.start), period.end - 1);
  const sold = soldIn(await reader.products(card, at), imported);
  const products = presentedBy(sold, options.presentedBy ?? []);
  const base = { terms, rateCard: card, balances, period };
  const cuts = new Set([...cutInstants(base), ...furtherCuts]);
  if (options.windows !== undefined) {
    for (const instant of windowInstants(period, options.windows)) cuts.add(instant);
  }
  const request: UsageRequest = {
    usageFilters: contract.document.usageFilters,
    products,
    period,
    cuts: [...cuts].sort((a, b) => a - b),
    at: state.at,
    ...(options.extraUsage === undefined ? {} : { preview: options.extraUsage }),
  };
  const known = imported?.usage ?? (await reader.slices(request));
  const elsewhere = isReopened === true ? await billedElsewhere(open, period, reader) : [];
  const usage = elsewhere.length === 0 ? known : uncounted(period, request.cuts, known, elsewhere);
  const isWhole = options.extraUsage?.mode !== 'replace' && options.presentedBy === undefined;
  const takes = takesLate === true && isWhole;
  const late = takes ? await lateStatements(state, open, period.start, reader) : [];
  return {
    ...base,
    invoiceId,
    rates,
    products,
    units: state.units,
    usage,
    graceMs: statementDate(contract.document.issueDates, period, state.graceMs) - period.end,
    billedChargeItems: billedCharges(open),
    late,
    billedElsewhere: elsewhere,
    usageCuts: request.cuts,
    imported,
  };
}

function presentedBy(
  products: ReadonlyMap<string, ContractProduct>,
  keys: readonly string[],
): ReadonlyMap<string, ContractProduct> {
  if (keys.length === 0) return products;
  return new Map(
    [...products].map(([id, product]) => {
      const { pricingGroupKey, presentationGroupKey: shown } = product;
      const more = keys.filter((key) => !pricingGroupKey.includes(key) && !shown.includes(key));
      return [
        id,
        product.type === 'USAGE' ? { ...product, presentationGroupKey: [...shown, ...more] } : product,
      ];
    }),
  );
}

/** Scheduled charges that an invoice has already, by item. */
function billedCharges({ billed }: OpenContract): Set<string> {
  const prefix = 'scheduled/';
  return new Set(
    [...billed.keys()].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length)),
  );
}

async function scheduledDrafts(
  state: ContractState,
  open: OpenContract,
  balances: readonly BalanceRecord[],
  reader: UsageReader,
): Promise<DraftInvoice[]> {
  const { contract, card, rates, billed } = open;
  const terms = termsOf(contract);
  const issued = new Set(billed.values());
  return scheduledInvoices({
    terms,
    rates,
    products: await reader.products(card, state.at),
    units: state.units,
    balances: invoicedBy(balances, contract.id),
    from: contract.startingAt - CENTURY_MS,
    to: Number.MAX_SAFE_INTEGER,
    feesTo: feesUntil(contract, state.at),
    missedChargeItems: missedCharges(open),
    issueDates: contract.document.issueDates,
    isBilled: (key) => billed.has(key),
    idOf: (key) => freeId(state.accountId, key, issued),
  });
}

const CENTURY_MS = 100 * 366 * 86_400_000;

/** Something added on the date of an invoice that is final gets a second invoice of that date. */
function freeId(accountId: string, key: string, issued: ReadonlySet<string | null>): string {
  for (let copy = 1; ; copy += 1) {
    const id = stableId(accountId, copy === 1 ? key : `${key}/${copy}`);
    if (!issued.has(id)) return id;
  }
}

/** Fees are shown up to the next date of each subscription. */
function feesUntil(contract: ContractRecord, at: Instant): Instant {
  const terms = termsOf(contract);
  const ends = terms.subscriptions.flatMap((subscription) => {
    const from = Math.max(at, subscription.startingAt, contract.startingAt);
    return billingPeriods(subscription, terms, from, from + 1).map(({ end }) => end + 1);
  });
  return Math.max(at + 1, ...ends);
}

/** Charges of a consolidating contract whose statement became final without them. */
export function missedCharges({ contract, closedThrough, billed }: OpenContract): Set<string> {
  if (!contract.document.consolidatesScheduledCharges || closedThrough === null) return new Set();
  const terms = termsOf(contract);
  const missed = terms.scheduledCharges.flatMap(({ items }) =>
    items.filter((item) => {
      const statement = chargeStatement(terms, item);
      return statement !== null && statement.end <= closedThrough && !billed.has(`scheduled/${item.id}`);
    }),
  );
  return new Set(missed.map(({ id }) => id));
}

/**
 * What renewals that have begun by `until` take over from contracts that are not final through their end. Later nothing
 * moves any more: a void gives back to the old contract alone. `done` keeps those that were asked for before.
 */
function pendingRollovers(
  state: ContractState,
  balances: readonly BalanceRecord[],
  until: Instant,
  done: Set<string>,
  { handOver }: OpenOptions,
): PendingRollover[] {
  const pending: PendingRollover[] = [];
  for (const { contract } of state.contracts) {
    if (contract.startingAt > until || done.has(contract.id)) continue;
    done.add(contract.id);
    for (const { fromContractId, toContractId } of contract.document.transitions) {
      if (toContractId !== contract.id) continue;
      if (isClosed(state, fromContractId) && fromContractId !== handOver) continue;
      pending.push(...rolloversOf(state, balances, fromContractId, contract));
    }
  }
  return pending;
}

/** Whether the contract's last statement is final. */
function isClosed(state: ContractState, contractId: string): boolean {
  const open = state.contracts.find(({ contract }) => contract.id === contractId);
  const end = open?.contract.endingBefore ?? null;
  return end !== null && open?.closedThrough != null && open.closedThrough >= end;
}

function rolloversOf(
  state: ContractState,
  balances: readonly BalanceRecord[],
  fromContractId: string,
  renewal: ContractRecord,
): PendingRollover[] {
  const known = new Set(balances.map(({ id }) => id));
  return balances
    .filter(({ contractId }) => contractId === fromContractId)
    .flatMap((balance) => {
      const balanceId = stableId(state.accountId, `rollover/${renewal.id}/${balance.id}`);
      if (known.has(balanceId)) return [];
      const moved = rollOver(balance, {
        contractId: renewal.id,
        at: renewal.startingAt,
        accessUntil: renewal.endingBefore ?? renewal.startingAt + longestSegment(balance),
        balanceId,
        segmentId: stableId(state.accountId, `rollover/${renewal.id}/${balance.id}/segment`),
      });
      if (moved === null) return [];
      const record: BalanceRecord = {
        ...balance,
        ...moved.renewed,
        uniquenessKey: null,
        invoiceContractId: null,
        origin: 'rollover',
      };
      const entries = moved.entries.map((entry) => ({ balanceId: balance.id, entry }));
      return [{ fromContractId, balance: record, entries }];
    });
}

/** An open-ended renewal keeps what it takes over for as long as the grant lasted before. */
function longestSegment({ access }: Balance): number {
  return Math.max(...access.map(({ startingAt, endingBefore }) => endingBefore - startingAt));
}

function applyRollover(balances: readonly BalanceRecord[], rollover: PendingRollover): BalanceRecord[] {
  const changed = balances.map((balance) => {
    const own = rollover.entries.filter(({ balanceId }) => balanceId === balance.id);
    return own.length === 0
      ? balance
      : { ...balance, entries: [...balance.entries, ...own.map(({ entry }) => entry)] };
  });
  return [...changed, rollover.balance];
}
