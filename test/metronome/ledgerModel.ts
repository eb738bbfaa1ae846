import type { Decimal } from 'decimal.js';
import { type ModelRecurring, periodsOf } from './ledgerPeriods.js';
import {
  type Drafts,
  Exact,
  type Hold,
  inOrder,
  type ModelContract,
  type ModelGrant,
  type ModelPrice,
  type ModelSegment,
  type ModelTrueUp,
  type ModelUse,
  NONE,
  type Owed,
  type Purse,
  type Statement,
} from './ledgerTerms.js';

const GRACE = 24 * 3_600_000;
/** Usage of a statement that ended longer than that before the next one began comes too late for it. */
const REACH = 35 * 24 * 3_600_000;

/**
 * What a customer with one monthly contract and its renewals has, written from the public rules ("prioritization rules",
 * "get remaining balance", "manage customer lifecycle", "custom pricing units") and not from the engine: slow, plain, on
 * whole lists. Times are epoch milliseconds, amounts in the stored unit: cents, or whole custom units.
 */

export class LedgerModel {
  now: number;
  readonly fiat: string;
  /** Whether usage of a final statement is billed on the next one; dropped otherwise. */
  readonly billsLate: boolean;
  readonly prices: ReadonlyMap<string, ModelPrice>;
  /** Cents for one unit. */
  readonly conversions: ReadonlyMap<string, Decimal>;
  readonly contracts: ModelContract[];
  readonly recurring: ModelRecurring[] = [];
  readonly uses: ModelUse[] = [];
  holds: Hold[] = [];
  #statements: Statement[] = [];
  #agreed: ModelGrant[] = [];

  constructor(options: {
    start: number;
    contract: string;
    fiat: string;
    billsLate: boolean;
    prices: ReadonlyMap<string, ModelPrice>;
    conversions: ReadonlyMap<string, Decimal>;
  }) {
    const { start, contract, fiat, billsLate, prices, conversions } = options;
    this.now = start;
    this.fiat = fiat;
    this.billsLate = billsLate;
    this.prices = prices;
    this.conversions = conversions;
    this.contracts = [{ id: contract, start, end: null, renewedBy: null, isHandedOver: false }];
  }

  /** The contract that new terms go to. */
  get latest(): ModelContract {
    const contract = this.contracts.at(-1);
    if (contract === undefined) throw new Error('a model has a contract');
    return contract;
  }

  get grants(): readonly ModelGrant[] {
    const made = this.recurring.flatMap((one) => this.#grantsOf(one, this.now));
    return [...this.#agreed, ...made];
  }

  grant(grant: ModelGrant): void {
    this.#agreed.push(grant);
  }

  renew(id: string, at: number, removesTrueUps: boolean): void {
    const from = this.latest;
    Object.assign(from, { end: at, renewedBy: id });
    this.contracts.push({ id, start: at, end: null, renewedBy: null, isHandedOver: false });
    this.#statements = this.#statements.filter(({ start, contract }) => contract !== from.id || start < at);
    for (const statement of this.#statements) {
      if (statement.contract === from.id) statement.end = Math.min(statement.end, at);
    }
    for (const grant of this.#agreed) {
      if (grant.contract !== from.id) continue;
      grant.segments = grant.segments
        .filter(({ start }) => start < at)
        .map((segment) => ({ ...segment, end: Math.min(segment.end, at) }));
      if (grant.trueUp === null) continue;
      grant.trueUp.date = Math.min(grant.trueUp.date, at);
      if (removesTrueUps) grant.trueUp.isOff = true;
    }
  }

  advance(to: number): void {
    for (;;) {
      const due = [...this.#dueStatements(), ...this.#dueTrueUps()].filter(({ at }) => at <= to);
      // At one instant statements go first: a shortfall follows usage.
      const next = due.sort((a, b) => a.at - b.at || a.rank - b.rank)[0];
      if (next === undefined) break;
      this.now = Math.max(this.now, next.at);
      next.happen();
    }
    this.now = to;
    this.holds = this.holds.filter(({ expires }) => expires > to);
  }

  #dueStatements() {
    return this.#begun(Number.MAX_SAFE_INTEGER, this.now + 400 * 86_400_000)
      .filter(({ status }) => status === 'open')
      .map((statement) => ({
        at: statement.end + GRACE,
        rank: 0,
        happen: () => {
          this.#close(statement);
        },
      }));
  }

  #dueTrueUps() {
    return this.#agreed.flatMap((grant) => {
      const { trueUp, segments } = grant;
      const [segment] = segments;
      if (trueUp === null || trueUp.billed !== null || trueUp.isOff || segment === undefined) return [];
      const contract = this.contracts.find(({ id }) => id === grant.contract);
      const last = monthEnd(segment.end - 1);
      const lastEnd = Math.min(last, contract?.end ?? last);
      return [
        {
          at: Math.max(trueUp.date, lastEnd + GRACE),
          rank: 1,
          happen: () => {
            const rest = this.#rest(segment, grant);
            trueUp.billed = Exact.max(rest, 0);
          },
        },
      ];
    });
  }

  finals(): Statement[] {
    return this.#statements.filter(({ status }) => status === 'final');
  }

  voided(): Statement[] {
    return this.#statements.filter(({ status }) => status === 'void');
  }

  void(start: number): void {
    const statement = this.#statementAt(start);
    statement.status = 'void';
    statement.taken = new Map();
  }

  /** Takes in what it had billed, what has come late for it, and for those before it. */
  regenerate(start: number): void {
    const statement = this.#statementAt(start);
    for (const use of this.uses) if (use.by === statement) use.by = undefined;
    this.#close(statement);
  }

  drafts(): Drafts {
    const purse = this.#purse();
    const taken = new Map<string, Decimal>();
    const totals = new Map<number, Decimal>();
    const begun = this.#begun(this.now, this.now).filter(({ status }) => status === 'open');
    for (const statement of begun) {
      const { taken: own, total } = this.#bill(statement, purse, statement === begun[0]);
      for (const [id, amount] of own) taken.set(id, (taken.get(id) ?? NONE).plus(amount));
      totals.set(statement.start, total);
    }
    this.#takeOver(this.now, purse);
    for (const [id, amount] of purse.moved) taken.set(id, (taken.get(id) ?? NONE).plus(amount));
    return { taken, totals, rollovers: purse.rollovers };
  }

  /** The rest of the segments that are open now. */
  balance(grant: ModelGrant, { taken } = this.drafts()): Decimal {
    return grant.segments
      .filter(({ start, end }) => start <= this.now && this.now < end)
      .reduce(
        (sum, segment) => sum.plus(this.#rest(segment, grant).minus(taken.get(segment.id) ?? NONE)),
        NONE,
      );
  }

  /** What a ledger adds up to: what is left expires with its segment, but a promise stays until it is billed. */
  ledger(grant: ModelGrant, drafts = this.drafts()): Decimal {
    const { trueUp } = grant;
    if (trueUp === null || trueUp.isOff) return this.balance(grant, drafts);
    return grant.segments
      .filter(({ start }) => start <= this.now)
      .reduce(
        (sum, segment) => sum.plus(this.#rest(segment, grant).minus(drafts.taken.get(segment.id) ?? NONE)),
        NONE,
      );
  }

  /** The invoices of shortfalls, by commit; null while nothing is to be billed. */
  trueUps(drafts = this.drafts()): ModelTrueUp[] {
    return this.#agreed.flatMap((grant): ModelTrueUp[] => {
      const { id, trueUp, segments } = grant;
      if (trueUp === null) return [];
      if (trueUp.billed !== null) return [{ id, status: 'FINALIZED', total: trueUp.billed }];
      if (trueUp.isOff) return [];
      const total = segments.reduce(
        (sum, segment) => sum.plus(this.#rest(segment, grant).minus(drafts.taken.get(segment.id) ?? NONE)),
        NONE,
      );
      return [{ id, status: 'DRAFT', total }];
    });
  }

  net(unit: string, wanted: (grant: ModelGrant) => boolean = () => true): Decimal {
    const drafts = this.drafts();
    return [...this.grants, ...drafts.rollovers]
      .filter((grant) => grant.unit === unit && wanted(grant))
      .reduce((sum, grant) => sum.plus(this.balance(grant, drafts)), NONE);
  }

  /** The unit of holds on anything: that of all grants that are open, where they have one; dollars otherwise. */
  holdUnit(): string {
    const open = [...this.grants, ...this.drafts().rollovers].filter(
      ({ type, segments }) =>
        type !== 'POSTPAID' && segments.some(({ start, end }) => start <= this.now && this.now < end),
    );
    const [unit = this.fiat, ...others] = new Set(open.map((grant) => grant.unit));
    return others.length === 0 ? unit : this.fiat;
  }

  /** What holds may come out of. */
  spendable(): Decimal {
    return this.net(this.holdUnit(), ({ type }) => type !== 'POSTPAID');
  }

  held(): Decimal {
    const unit = this.holdUnit();
    return this.holds.reduce((sum, hold) => (hold.unit === unit ? sum.plus(hold.amount) : sum), NONE);
  }

  available(): Decimal {
    return Exact.max(this.spendable().minus(this.held()), 0);
  }

  #grantsOf(recurring: ModelRecurring, now: number): ModelGrant[] {
    const contract = this.contracts.find(({ id }) => id === recurring.contract);
    if (contract === undefined) throw new Error('a recurring credit has a contract');
    return periodsOf(recurring, contract, now).map(({ start, end, amount }) => {
      const id = `${recurring.name}@${start}`;
      const moved = this.#handedOver.get(id) ?? NONE;
      return {
        ...recurring,
        id,
        type: 'CREDIT',
        paid: false,
        isRollover: false,
        segments: [{ id, amount, start, end, manual: NONE, moved }],
        trueUp: null,
      };
    });
  }

  /** What renewals took over, by segment. */
  readonly #handedOver = new Map<string, Decimal>();

  #statementAt(start: number): Statement {
    const found = this.#statements.find((one) => one.start === start);
    if (found === undefined) throw new Error(`no statement begins at ${new Date(start).toISOString()}`);
    return found;
  }

  /** The statements that have begun, the first to end first; each is known from then on. */
  #begun(until: number, horizon: number): Statement[] {
    for (const { id, start: first, end: last } of this.contracts) {
      for (let start = first; start <= Math.min(until, horizon); ) {
        const end = Math.min(monthEnd(start), last ?? Number.MAX_SAFE_INTEGER);
        if (last !== null && start >= last) break;
        if (!this.#statements.some((one) => one.contract === id && one.start === start)) {
          this.#statements.push({
            contract: id,
            start,
            end,
            status: 'open',
            taken: new Map(),
            total: NONE,
            cuts: [],
          });
        }
        start = end;
      }
    }
    return this.#statements.filter(({ start }) => start <= until).sort((a, b) => a.end - b.end);
  }

  #close(statement: Statement): void {
    const purse = this.#purse();
    const bill = this.#bill(statement, purse, true);
    Object.assign(statement, bill, { status: 'final', cuts: edges(this.grants) });
    for (const { start, end } of [statement, ...this.#lateFor(statement)]) {
      for (const use of this.uses) if (start <= use.at && use.at < end) use.by ??= statement;
    }
    const contract = this.contracts.find(({ id }) => id === statement.contract);
    if (contract?.renewedBy == null || contract.isHandedOver || statement.end !== contract.end) return;
    // The contract's last statement is final: what moves is certain.
    this.#takeOver(contract.end, purse);
    contract.isHandedOver = true;
    for (const [id, amount] of purse.moved) this.#handedOver.set(id, amount);
    for (const segment of this.#agreed.flatMap(({ segments }) => segments)) {
      segment.moved = this.#handedOver.get(segment.id) ?? NONE;
    }
    this.#agreed.push(...purse.rollovers);
  }

  /** The final statements whose late usage a statement bills. */
  #lateFor({ start }: Statement): Statement[] {
    if (!this.billsLate) return [];
    return this.finals().filter(({ end }) => end <= start && end > start - REACH);
  }

  #rest(segment: ModelSegment, grant?: ModelGrant): Decimal {
    const had = segment.amount.plus(segment.manual).minus(segment.moved);
    return this.#statements.reduce(
      (rest, { taken }) => rest.minus(taken.get(segment.id) ?? NONE),
      had.minus(grant?.trueUp?.billed ?? NONE),
    );
  }

  #purse(): Purse {
    const left = new Map(
      this.grants.flatMap((grant) =>
        grant.segments.map((segment) => [segment.id, this.#rest(segment, grant)] as const),
      ),
    );
    return { left, moved: new Map(), rollovers: [], asked: new Set() };
  }

  /**
   * A renewal that has begun takes over min(unused, fraction × original) of each segment that its beginning ends
   * ("manage customer lifecycle").
   */
  #takeOver(until: number, purse: Purse): void {
    for (const from of this.contracts) {
      const { end, renewedBy } = from;
      if (end === null || renewedBy === null || end > until || from.isHandedOver) continue;
      if (purse.asked.has(from.id)) continue;
      purse.asked.add(from.id);
      for (const grant of this.grants) {
        const { fraction } = grant;
        if (grant.contract !== from.id || fraction === null) continue;
        let amount = NONE;
        for (const segment of grant.segments) {
          if (segment.end !== end) continue;
          const left = purse.left.get(segment.id) ?? NONE;
          const moves = Exact.max(Exact.min(left, segment.amount.times(fraction)), 0);
          purse.left.set(segment.id, left.minus(moves));
          purse.moved.set(segment.id, moves);
          amount = amount.plus(moves);
        }
        if (amount.isZero()) continue;
        const id = `rest of ${grant.id}`;
        const longest = Math.max(...grant.segments.map((segment) => segment.end - segment.start));
        const own = { id, amount, start: end, end: end + longest, manual: NONE, moved: NONE };
        purse.left.set(id, amount);
        purse.rollovers.push({
          ...grant,
          id,
          contract: renewedBy,
          isRollover: true,
          segments: [own],
          born: end,
          trueUp: null,
        });
      }
    }
  }

  /** Lets the segments pay for a statement, in order, and reduces what they have left. */
  #bill(
    statement: Statement,
    purse: Purse,
    takesLate: boolean,
  ): { taken: Map<string, Decimal>; total: Decimal } {
    this.#takeOver(statement.start, purse);
    const { left } = purse;
    const payers = [...this.grants, ...purse.rollovers].filter(
      ({ contract }) => contract === null || contract === statement.contract,
    );
    const late = takesLate ? this.#lateFor(statement) : [];
    const owed = [
      ...this.#owed(statement, payers),
      ...late.flatMap((earlier) => this.#owed(earlier, payers, earlier.cuts)),
    ].sort((a, b) => a.from - b.from || b.price.comparedTo(a.price));
    const taken = new Map<string, Decimal>();
    const informative = new Map<string, Decimal>();
    for (const { grant, segment } of inOrder(payers)) {
      for (const line of owed) {
        if (line.unit !== grant.unit) continue;
        if (line.from < segment.start || line.from >= segment.end) continue;
        if (grant.product !== null && grant.product !== line.product) continue;
        const pays = Exact.min(left.get(segment.id) ?? NONE, line.cost);
        if (!pays.greaterThan(0)) continue;
        line.cost = line.cost.minus(pays);
        left.set(segment.id, (left.get(segment.id) ?? NONE).minus(pays));
        taken.set(segment.id, (taken.get(segment.id) ?? NONE).plus(pays));
        // A promise shrinks by what is billed as usual.
        if (grant.type === 'POSTPAID')
          informative.set(line.unit, (informative.get(line.unit) ?? NONE).plus(pays));
      }
    }
    let total = NONE;
    for (const unit of new Set(owed.map((line) => line.unit))) {
      const due = owed.reduce((sum, line) => (line.unit === unit ? sum.plus(line.cost) : sum), NONE);
      total = total.plus(due.plus(informative.get(unit) ?? NONE).times(this.conversions.get(unit) ?? 1));
    }
    return { taken, total };
  }

  /**
   * What nobody has billed: one line for each product and each stretch in which the same segments are open. Late usage
   * is cut only where it was cut before.
   */
  #owed({ start, end }: Statement, payers: readonly ModelGrant[], known?: readonly number[]): Owed[] {
    return [...this.prices].flatMap(([product, { unit, price }]) => {
      const inside = edges(payers, product).filter((edge) => start < edge && edge < end);
      const kept = inside.filter((edge) => known === undefined || known.includes(edge));
      const cuts = [...new Set([start, ...kept, end])].sort((a, b) => a - b);
      return cuts.slice(0, -1).map((from, index) => {
        const to = cuts[index + 1] ?? end;
        const cost = this.uses
          .filter((use) => use.by === undefined && use.product === product && from <= use.at && use.at < to)
          .reduce((sum, { quantity }) => sum.plus(quantity.times(price)), NONE);
        return { from, product, unit, price, cost };
      });
    });
  }
}

/** Where segments that may pay for the product begin and end; for any product unless one is named. */
function edges(grants: readonly ModelGrant[], product?: string): number[] {
  return grants
    .filter((grant) => product === undefined || grant.product === null || grant.product === product)
    .flatMap(({ segments }) => segments.flatMap((one) => [one.start, one.end]));
}

/** The end of the month that holds the instant. */
function monthEnd(at: number): number {
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}
