import { Decimal } from 'decimal.js';

/**
 * What a customer with one monthly contract has, written from the public rules ("prioritization rules", "get remaining
 * balance") and not from the engine: slow, plain, on whole lists. Times are epoch milliseconds, amounts cents.
 */

const Exact = Decimal.clone({ precision: 80 });
export const exact = (value: Decimal.Value): Decimal => new Exact(value);
const NONE = exact(0);
export const GRACE = 24 * 3_600_000;
/** Usage of a statement that ended longer than that before the next one began comes too late for it. */
const REACH = 35 * 24 * 3_600_000;

export interface ModelSegment {
  id: string;
  amount: Decimal;
  start: number;
  end: number;
  /** Manual entries. */
  manual: Decimal;
}

export interface ModelGrant {
  id: string;
  type: 'PREPAID' | 'POSTPAID' | 'CREDIT';
  priority: number;
  paid: boolean;
  ofContract: boolean;
  /** Null pays for everything. */
  product: string | null;
  segments: ModelSegment[];
  born: number;
}

export interface ModelUse {
  product: string;
  at: number;
  quantity: Decimal;
  /** The statement that has billed it. */
  by?: Statement | undefined;
}

interface Statement {
  start: number;
  end: number;
  status: 'open' | 'final' | 'void';
  /** By segment: what a final statement has taken. */
  taken: Map<string, Decimal>;
  total: Decimal;
  /** Where its usage was cut when it was closed. */
  cuts: number[];
}

interface Hold {
  id: string;
  amount: Decimal;
  expires: number;
}

/** What statements that are not final take, by segment, and their totals by start. */
export interface Drafts {
  taken: Map<string, Decimal>;
  totals: Map<number, Decimal>;
}

export class LedgerModel {
  now: number;
  readonly prices: ReadonlyMap<string, Decimal>;
  readonly grants: ModelGrant[] = [];
  readonly uses: ModelUse[] = [];
  readonly statements: Statement[] = [];
  holds: Hold[] = [];

  constructor(start: number, months: number, prices: ReadonlyMap<string, Decimal>) {
    this.now = start;
    this.prices = prices;
    const from = new Date(start);
    for (let month = 0; month < months; month += 1) {
      const at = (offset: number) => Date.UTC(from.getUTCFullYear(), from.getUTCMonth() + month + offset, 1);
      this.statements.push({
        start: at(0),
        end: at(1),
        status: 'open',
        taken: new Map(),
        total: NONE,
        cuts: [],
      });
    }
  }

  advance(to: number): void {
    this.now = to;
    for (const statement of this.statements) {
      if (statement.status !== 'open' || statement.end + GRACE > to) continue;
      const left = this.#left();
      this.#close(statement, left);
    }
    this.holds = this.holds.filter(({ expires }) => expires > to);
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
    this.#close(statement, this.#left());
  }

  drafts(): Drafts {
    const left = this.#left();
    const taken = new Map<string, Decimal>();
    const totals = new Map<number, Decimal>();
    const begun = this.statements.filter(({ status, start }) => status === 'open' && start <= this.now);
    for (const statement of begun) {
      const { taken: own, total } = this.#bill(statement, left, statement === begun[0]);
      for (const [id, amount] of own) taken.set(id, (taken.get(id) ?? NONE).plus(amount));
      totals.set(statement.start, total);
    }
    return { taken, totals };
  }

  /** The rest of the segments that are open now. */
  balance(grant: ModelGrant, { taken } = this.drafts()): Decimal {
    return grant.segments
      .filter(({ start, end }) => start <= this.now && this.now < end)
      .reduce((sum, segment) => sum.plus(this.#rest(segment).minus(taken.get(segment.id) ?? NONE)), NONE);
  }

  net(wanted: (grant: ModelGrant) => boolean = () => true): Decimal {
    const drafts = this.drafts();
    return this.grants.filter(wanted).reduce((sum, grant) => sum.plus(this.balance(grant, drafts)), NONE);
  }

  /** What holds may come out of. */
  spendable(): Decimal {
    return this.net(({ type }) => type !== 'POSTPAID');
  }

  held(): Decimal {
    return this.holds.reduce((sum, { amount }) => sum.plus(amount), NONE);
  }

  available(): Decimal {
    return Exact.max(this.spendable().minus(this.held()), 0);
  }

  #statementAt(start: number): Statement {
    const found = this.statements.find((one) => one.start === start);
    if (found === undefined) throw new Error(`no statement begins at ${new Date(start).toISOString()}`);
    return found;
  }

  #close(statement: Statement, left: Map<string, Decimal>): void {
    Object.assign(statement, this.#bill(statement, left, true), { status: 'final', cuts: this.#edges() });
    for (const { start, end } of [statement, ...this.#lateFor(statement)]) {
      for (const use of this.uses) if (start <= use.at && use.at < end) use.by ??= statement;
    }
  }

  /** The final statements whose late usage a statement bills. */
  #lateFor({ start }: Statement): Statement[] {
    return this.statements.filter(
      ({ status, end }) => status === 'final' && end <= start && end > start - REACH,
    );
  }

  /** Where segments that may pay for the product begin and end; for any product unless one is named. */
  #edges(product?: string): number[] {
    return this.grants
      .filter((grant) => product === undefined || grant.product === null || grant.product === product)
      .flatMap(({ segments }) => segments.flatMap((one) => [one.start, one.end]));
  }

  #rest(segment: ModelSegment): Decimal {
    return this.statements.reduce(
      (rest, { taken }) => rest.minus(taken.get(segment.id) ?? NONE),
      segment.amount.plus(segment.manual),
    );
  }

  #left(): Map<string, Decimal> {
    const all = this.grants.flatMap(({ segments }) => segments);
    return new Map(all.map((segment) => [segment.id, this.#rest(segment)]));
  }

  /** Lets the segments pay for a statement, in order, and reduces what they have left. */
  #bill(
    statement: Statement,
    left: Map<string, Decimal>,
    takesLate: boolean,
  ): { taken: Map<string, Decimal>; total: Decimal } {
    const late = takesLate ? this.#lateFor(statement) : [];
    const owed = [
      ...this.#owed(statement),
      ...late.flatMap((earlier) => this.#owed(earlier, earlier.cuts)),
    ].sort((a, b) => a.from - b.from || b.price.comparedTo(a.price));
    const taken = new Map<string, Decimal>();
    let total = owed.reduce((sum, { cost }) => sum.plus(cost), NONE);
    for (const { grant, segment } of this.#queue()) {
      for (const line of owed) {
        if (line.from < segment.start || line.from >= segment.end) continue;
        if (grant.product !== null && grant.product !== line.product) continue;
        const pays = Exact.min(left.get(segment.id) ?? NONE, line.cost);
        if (!pays.greaterThan(0)) continue;
        line.cost = line.cost.minus(pays);
        left.set(segment.id, (left.get(segment.id) ?? NONE).minus(pays));
        taken.set(segment.id, (taken.get(segment.id) ?? NONE).plus(pays));
        if (grant.type !== 'POSTPAID') total = total.minus(pays);
      }
    }
    return { taken, total };
  }

  /**
   * What nobody has billed: one line for each product and each stretch in which the same segments are open. Late usage
   * is cut only where it was cut before.
   */
  #owed(
    { start, end }: Statement,
    known?: readonly number[],
  ): { from: number; product: string; price: Decimal; cost: Decimal }[] {
    return [...this.prices].flatMap(([product, price]) => {
      const edges = this.#edges(product).filter((edge) => known === undefined || known.includes(edge));
      const cuts = [...new Set([start, ...edges.filter((edge) => start < edge && edge < end), end])];
      cuts.sort((a, b) => a - b);
      return cuts.slice(0, -1).map((from, index) => {
        const to = cuts[index + 1] ?? end;
        const cost = this.uses
          .filter((use) => use.by === undefined && use.product === product && from <= use.at && use.at < to)
          .reduce((sum, { quantity }) => sum.plus(quantity.times(price)), NONE);
        return { from, product, price, cost };
      });
    });
  }

  #queue(): { grant: ModelGrant; segment: ModelSegment }[] {
    const rank = ({ grant, segment }: { grant: ModelGrant; segment: ModelSegment }) => [
      grant.type === 'POSTPAID' ? 1 : 0,
      grant.priority,
      grant.paid ? 1 : 0,
      grant.product === null ? 1 : 0,
      segment.end,
      segment.start,
      grant.ofContract ? 0 : 1,
      grant.born,
    ];
    return this.grants
      .flatMap((grant) => grant.segments.map((segment) => ({ grant, segment, key: [] as number[] })))
      .map((draw) => ({ ...draw, key: rank(draw) }))
      .sort((a, b) => {
        const at = a.key.findIndex((value, index) => value !== b.key[index]);
        return at < 0 ? 0 : (a.key[at] ?? 0) - (b.key[at] ?? 0);
      });
  }
}
