import type { Core } from '../../core.js';
import { withDeductions } from '../../domain/contract/balance.js';
import type { Balance } from '../../domain/contract/balanceTerms.js';
import {
  breakDown,
  type BreakdownWindow,
  windowInstants,
  type WindowSize,
} from '../../domain/contract/breakdown.js';
import { type BalanceRecord, termsOf } from '../../domain/contract/contract.js';
import {
  computeUsageInvoice,
  cutInstants,
  type DraftInvoice,
  type UsageInvoiceInput,
} from '../../domain/contract/draft.js';
import { statementDate } from '../../domain/contract/issueDates.js';
import { type CountedUsage, countedOwn, uncounted } from '../../domain/contract/late.js';
import type { Instant } from '../../domain/period.js';
import type { CustomerRecord } from '../../storage/customers.js';
import type { Queryable } from '../../storage/db.js';
import { balancesBefore, customerSpend, type SpendElsewhere } from './customerSpend.js';
import { balancesTaken, type ImportedStatement, soldIn } from './imported.js';
import {
  billedElsewhere,
  countedOf,
  hasLateUsage,
  lateInvoice,
  lateInvoiceId,
  lateStatements,
} from './late.js';
import { applyRollover, type PendingRollover, pendingRollovers } from './rollover.js';
import { scheduledDrafts } from './scheduledDrafts.js';
import { type ContractState, loadContractState, type OpenContract } from './state.js';
import { firstOpenStatement, openStatements, type Reopened, type Statement } from './statements.js';
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
    for (const rollover of pendingRollovers(state, balances, until, renewed, options.handOver)) {
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
