import { Decimal } from 'decimal.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { live } from '../live/world.js';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { exact, LedgerModel, type ModelGrant } from './ledgerModel.js';
import {
  advance,
  contractAt,
  day,
  fixedProduct,
  hour,
  rateCard,
  send,
  type SoldMetric,
  sumProduct,
  unique,
  unlimitedClocks,
} from './world.js';

let engine: TestEngine;

beforeAll(async () => {
  engine = await startTestEngine();
  await unlimitedClocks(engine);
});
afterAll(() => engine.stop());

const STEPS = 80;
const MONTHS = 12;
const START = Date.UTC(2026, 0, 1);
const iso = (at: number) => new Date(at).toISOString();

/** The same numbers from 0 to 1 for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

type Customer = Awaited<ReturnType<typeof contractAt>>;

/** A customer in the engine and the same one in the model; every step does the same to both. */
class Walk {
  readonly history: string[] = [];
  readonly #random: () => number;
  readonly #model: LedgerModel;
  readonly #customer: Customer;
  readonly #products: readonly SoldMetric[];
  readonly #fixed: string;

  static async begin(seed: number): Promise<Walk> {
    const { metronome } = engine;
    const products = [await sumProduct(metronome, 'Alpha'), await sumProduct(metronome, 'Beta')];
    const prices = new Map(products.map(({ productId }, index) => [productId, index === 0 ? '7.5' : '3']));
    const card = await rateCard(
      metronome,
      [...prices].map(([product_id, price]) => ({ product_id, rate_type: 'FLAT', price: Number(price) })),
    );
    const customer = await contractAt(engine, iso(START), { starting_at: iso(START), rate_card_id: card });
    const exactPrices = new Map([...prices].map(([id, price]) => [id, exact(price)]));
    const model = new LedgerModel(START, MONTHS, exactPrices);
    return new Walk(seed, model, customer, products, await fixedProduct(metronome, 'Credits'));
  }

  private constructor(
    seed: number,
    model: LedgerModel,
    customer: Customer,
    products: readonly SoldMetric[],
    fixed: string,
  ) {
    this.#random = randomFrom(seed);
    this.#model = model;
    this.#customer = customer;
    this.#products = products;
    this.#fixed = fixed;
  }

  async step(): Promise<void> {
    const choices: [number, () => Promise<string>][] = [
      [3, () => this.#grant()],
      [6, () => this.#use()],
      [2, () => this.#advance()],
      [4, () => this.#authorize()],
      [2, () => this.#capture()],
      [1, () => this.#release()],
      [1, () => this.#manual()],
      [2, () => this.#voidAndRegenerate()],
    ];
    let at = this.#random() * choices.reduce((sum, [weight]) => sum + weight, 0);
    const [, act] = choices.find(([weight]) => (at -= weight) < 0) ?? [0, () => this.#use()];
    this.history.push(`${iso(this.#model.now)} ${await act()}`);
  }

  #whole(from: number, to: number): number {
    return from + Math.floor(this.#random() * (to - from + 1));
  }

  #pick<T>(all: readonly T[]): T | undefined {
    return all[this.#whole(0, all.length - 1)];
  }

  async #grant(): Promise<string> {
    const { now, grants } = this.#model;
    const type = this.#pick(['PREPAID', 'PREPAID', 'CREDIT', 'CREDIT', 'POSTPAID'] as const) ?? 'CREDIT';
    const ofContract = type === 'POSTPAID' || this.#random() < 0.5;
    const paid = type === 'PREPAID' && ofContract && this.#random() < 0.5;
    const product = this.#random() < 0.3 ? (this.#pick(this.#products)?.productId ?? null) : null;
    const items: { amount: number; starting_at: string; ending_before: string }[] = [];
    let start = Math.max(START, now - this.#whole(0, 20) * day + this.#whole(0, 23) * hour);
    for (let count = type === 'POSTPAID' ? 1 : this.#whole(1, 3); count > 0; count -= 1) {
      const end = type === 'POSTPAID' ? Date.UTC(2031, 0, 1) : start + this.#whole(48, 60 * 24) * hour;
      items.push({ amount: this.#whole(1, 900), starting_at: iso(start), ending_before: iso(end) });
      start = end + (this.#random() < 0.3 ? this.#whole(1, 100) * hour : 0);
    }
    const name = unique(type);
    const priority = this.#whole(1, 3);
    // What a postpaid commit promises is due when its time is over; nothing of that is in this walk.
    const due = type === 'POSTPAID' ? { timestamp: items[0]?.ending_before, amount: items[0]?.amount } : null;
    const invoiced = {
      invoice_schedule: { schedule_items: [{ timestamp: iso(now), amount: 500, ...due }] },
    };
    const terms = {
      name,
      priority,
      product_id: this.#fixed,
      access_schedule: { schedule_items: items },
      ...(product === null ? {} : { applicable_product_ids: [product] }),
      ...(paid || type === 'POSTPAID' ? invoiced : {}),
    };
    await this.#store(type, ofContract, terms);
    const made = (await this.#balances()).find((one) => one.name === name);
    const segments = (made?.access_schedule?.schedule_items ?? []).map((item) => ({
      id: item.id,
      amount: exact(item.amount),
      start: Date.parse(item.starting_at),
      end: Date.parse(item.ending_before),
      manual: exact(0),
    }));
    expect(segments).toHaveLength(items.length);
    const id = made?.id ?? '';
    // A postpaid commit always has a price, and no other of its kind is free.
    grants.push({
      id,
      type,
      priority,
      paid: paid || type === 'POSTPAID',
      ofContract,
      product,
      segments,
      born: now,
    });
    return `grant ${name} ${JSON.stringify(terms)}`;
  }

  async #store(
    type: ModelGrant['type'],
    ofContract: boolean,
    terms: Parameters<TestEngine['metronome']['v1']['customers']['credits']['create']>[0] extends infer P
      ? Omit<P, 'customer_id'>
      : never,
  ): Promise<void> {
    const { v1, v2 } = engine.metronome;
    const { id, contractId } = this.#customer;
    if (!ofContract) {
      if (type === 'CREDIT') await v1.customers.credits.create({ customer_id: id, ...terms });
      else await v1.customers.commits.create({ customer_id: id, type: 'PREPAID', ...terms });
      return;
    }
    const edit = { customer_id: id, contract_id: contractId };
    if (type === 'CREDIT') await v2.contracts.edit({ ...edit, add_credits: [terms] });
    else await v2.contracts.edit({ ...edit, add_commits: [{ type, ...terms }] });
  }

  #usage() {
    const product = this.#pick(this.#products) as SoldMetric;
    const amount = exact(this.#whole(1, 90_000)).dividedBy(1000);
    return { product, amount };
  }

  async #use(): Promise<string> {
    const { product, amount } = this.#usage();
    const at = Math.max(START, this.#model.now - this.#whole(0, 25 * 24 * 60) * 60_000);
    const name = this.#random() < 0.5 ? this.#customer.id : this.#customer.stripeId;
    await send(engine, name, product.eventType, [{ at: iso(at), properties: { amount: amount.toFixed() } }]);
    this.#model.uses.push({ product: product.productId, at, quantity: amount });
    return `use ${amount.toFixed()} of ${product.eventType} at ${iso(at)}`;
  }

  async #advance(): Promise<string> {
    const to = this.#model.now + this.#whole(1, 18 * 24) * hour;
    await advance(engine, this.#customer.clockId, iso(to));
    this.#model.advance(to);
    return `advance to ${iso(to)}`;
  }

  async #authorize(): Promise<string> {
    const model = this.#model;
    const available = model.available();
    const amount = available
      .times(this.#random() * 1.6)
      .toDecimalPlaces(2)
      .plus('0.01');
    const seconds = this.#whole(60, 86_400);
    const { status, body } = await live(engine, 'POST', 'authorizations', {
      customer: this.#customer.id,
      amount: amount.toFixed(),
      expires_in: seconds,
    });
    const fits = amount.lessThanOrEqualTo(available);
    expect(status).toBe(fits ? 200 : 402);
    if (fits) model.holds.push({ id: body.id, amount, expires: model.now + seconds * 1000 });
    return `authorize ${amount.toFixed()} of ${available.toFixed()} for ${seconds} s: ${status}`;
  }

  async #capture(): Promise<string> {
    const hold = this.#pick(this.#model.holds);
    if (hold === undefined) return 'nothing to capture';
    const { product, amount } = this.#usage();
    const event = { transaction_id: unique('tx'), event_type: product.eventType };
    const { status } = await live(engine, 'POST', `authorizations/${hold.id}/capture`, {
      events: [{ ...event, properties: { amount: amount.toFixed() } }],
    });
    expect(status).toBe(200);
    this.#drop(hold.id);
    this.#model.uses.push({ product: product.productId, at: this.#model.now, quantity: amount });
    return `capture ${hold.amount.toFixed()} with ${amount.toFixed()} of ${product.eventType}`;
  }

  async #release(): Promise<string> {
    const hold = this.#pick(this.#model.holds);
    if (hold === undefined) return 'nothing to release';
    expect((await live(engine, 'POST', `authorizations/${hold.id}/release`)).status).toBe(200);
    this.#drop(hold.id);
    return `release ${hold.amount.toFixed()}`;
  }

  #drop(id: string): void {
    this.#model.holds = this.#model.holds.filter((hold) => hold.id !== id);
  }

  async #manual(): Promise<string> {
    const { now } = this.#model;
    const open = this.#model.grants.flatMap((grant) =>
      grant.type === 'POSTPAID'
        ? []
        : grant.segments
            .filter(({ start, end }) => start <= now && now < end)
            .map((segment) => ({ grant, segment })),
    );
    const found = this.#pick(open);
    if (found === undefined) return 'nothing to correct';
    const { grant, segment } = found;
    // Takes at most what nobody has used: a ledger that is overdrawn by hand is another matter.
    const most = this.#model.balance(grant).toDecimalPlaces(2, Decimal.ROUND_DOWN);
    const share = this.#random() < 0.5 ? most.negated() : exact(50);
    const amount = share.times(this.#random()).toDecimalPlaces(2, Decimal.ROUND_DOWN);
    await engine.metronome.v1.contracts.addManualBalanceEntry({
      id: grant.id,
      customer_id: this.#customer.id,
      segment_id: segment.id,
      amount: amount.toNumber(),
      reason: 'By hand',
      timestamp: iso(Math.max(segment.start, now - hour)),
    });
    segment.manual = segment.manual.plus(amount);
    return `manual entry of ${amount.toFixed()} on ${grant.id}`;
  }

  async #voidAndRegenerate(): Promise<string> {
    const { data } = await engine.metronome.v1.customers.invoices.list({
      customer_id: this.#customer.id,
      status: 'FINALIZED',
    });
    const finals = data.filter(({ type }) => type === 'USAGE');
    expect(finals).toHaveLength(this.#model.statements.filter(({ status }) => status === 'final').length);
    const invoice = this.#pick(finals);
    if (invoice === undefined) return 'nothing to void';
    const start = Date.parse(invoice.start_timestamp ?? '');
    await engine.metronome.v1.invoices.void({ id: invoice.id });
    this.#model.void(start);
    await this.check();
    await engine.metronome.v1.invoices.regenerate({ id: invoice.id });
    this.#model.regenerate(start);
    return `void and regenerate the statement of ${iso(start)}`;
  }

  async #balances() {
    const all = [];
    const list = engine.metronome.v1.contracts.listBalances({
      customer_id: this.#customer.id,
      include_contract_balances: true,
      include_balance: true,
      include_ledgers: true,
    });
    for await (const balance of list) all.push(balance);
    return all;
  }

  /** Every ledger adds up to its balance, and everything is as the model has it. */
  async check(): Promise<void> {
    const model = this.#model;
    const drafts = model.drafts();
    const balances = await this.#balances();
    const shown = balances.map(({ id, balance, ledger }) => ({
      id,
      balance: money(balance ?? NaN),
      ledger: money((ledger ?? []).reduce((sum, { amount }) => sum.plus(amount), exact(0))),
    }));
    const wanted = model.grants.map((grant) => {
      const balance = money(model.balance(grant, drafts));
      return { id: grant.id, balance, ledger: balance };
    });
    expect(sorted(shown)).toEqual(sorted(wanted));
    expect(shown.filter(({ balance }) => balance.startsWith('-'))).toEqual([]);

    const net = await engine.metronome.v1.contracts.getNetBalance({ customer_id: this.#customer.id });
    expect(money(net.data.balance)).toBe(money(model.net()));
    const { body } = await live(engine, 'GET', `entitlements?customer=${this.#customer.stripeId}&amount=0`);
    expect([body.balance, body.held, body.available].map(money)).toEqual(
      [model.spendable(), model.held(), model.available()].map(money),
    );

    const { data } = await engine.metronome.v1.customers.invoices.list({ customer_id: this.#customer.id });
    const statements = data.filter(({ type, status }) => type === 'USAGE' && status !== 'VOID');
    const totals = new Map(
      statements.map((one) => [Date.parse(one.start_timestamp ?? ''), money(one.total)]),
    );
    const finals = model.statements.filter(({ status }) => status === 'final');
    const expected = new Map([
      ...drafts.totals,
      ...finals.map(({ start, total }) => [start, total] as const),
    ]);
    expect(sorted([...totals])).toEqual(sorted([...expected].map(([start, total]) => [start, money(total)])));
  }
}

/** The SDK reads amounts as doubles, so the last of their digits say nothing. */
const money = (amount: Decimal.Value): string => exact(amount).toDecimalPlaces(6).toFixed();

const sorted = (rows: readonly unknown[]): string[] => rows.map((row) => JSON.stringify(row)).sort();

describe('random grants, holds, usage, expiries and voids', () => {
  it.each([20_261, 77])(
    'keep every ledger equal to its balance (seed %i)',
    { timeout: 120_000 },
    async (seed) => {
      const walk = await Walk.begin(seed);
      for (let step = 0; step < STEPS; step += 1) {
        try {
          await walk.step();
          await walk.check();
        } catch (error) {
          throw new Error(`seed ${seed}, step ${step}:\n${walk.history.join('\n')}`, { cause: error });
        }
      }
    },
  );
});
