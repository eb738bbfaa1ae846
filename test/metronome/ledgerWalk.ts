import type Metronome from '@metronome/sdk';
import { Decimal } from 'decimal.js';
import { expect } from 'vitest';
import { live } from '../live/world.js';
import { Random } from '../soak/random.js';
import type { TestEngine } from '../support/engine.js';
import { LedgerCheck } from './ledgerCheck.js';
import { LedgerModel } from './ledgerModel.js';
import { exact, type ModelGrant } from './ledgerTerms.js';
import {
  advance,
  contractAt,
  day,
  fixedProduct,
  hour,
  rateCard,
  send,
  setting,
  type SoldMetric,
  sumProduct,
  unique,
} from './world.js';

const START = Date.UTC(2026, 0, 1);
const RENEWALS_MAX = 2;
const UUID = /^[0-9a-f-]{36}$/;
/** Cents for one custom unit. */
const UNIT_PRICE = '2.5';
const iso = (at: number) => new Date(at).toISOString();

type BalanceTerms = Omit<Metronome.V1.Customers.CreditCreateParams, 'customer_id'>;
type Customer = Awaited<ReturnType<typeof contractAt>>;
type RecurringCredit = NonNullable<Metronome.V2.ContractEditParams['add_recurring_credits']>[number];

interface Ground {
  engine: TestEngine;
  customer: Customer;
  card: string;
  /** Two in dollars, one in a custom unit. */
  products: readonly SoldMetric[];
  fixed: string;
}

/** A customer in the engine and the same one in the model; every step does the same to both. */
export class Walk {
  readonly history: string[] = [];
  readonly #random: Random;
  readonly #model: LedgerModel;
  readonly #ground: Ground;
  readonly #check: LedgerCheck;
  /** The voided invoices that are not regenerated, by the start of their statement. */
  readonly #voided = new Map<number, string>();

  static async begin(engine: TestEngine, seed: number, billsLate: boolean): Promise<Walk> {
    const { metronome } = engine;
    await setting(engine, { late_usage: billsLate ? 'bill' : 'drop' });
    const unit = (await live(engine, 'POST', 'pricing_units', { name: unique('Tokens') })).body.id;
    const { data: units } = await metronome.v1.pricingUnits.list();
    const fiat = units.find(({ name }) => name === 'USD (cents)')?.id ?? '';
    const products = [
      await sumProduct(metronome, 'Alpha'),
      await sumProduct(metronome, 'Beta'),
      await sumProduct(metronome, 'Gamma'),
    ];
    const offers = [
      { price: '7.5', unit: fiat },
      { price: '3', unit: fiat },
      { price: '1.2', unit },
    ];
    const prices = new Map(
      products.map(({ productId }, index) => {
        const offer = offers[index] ?? { price: '0', unit: fiat };
        return [productId, { unit: offer.unit, price: exact(offer.price) }] as const;
      }),
    );
    const card = await rateCard(
      metronome,
      [...prices].map(([product_id, { price, unit: credit_type_id }]) => ({
        product_id,
        rate_type: 'FLAT',
        price: price.toNumber(),
        credit_type_id,
      })),
      {
        credit_type_conversions: [
          { custom_credit_type_id: unit, fiat_per_custom_credit: Number(UNIT_PRICE) },
        ],
      },
    );
    const customer = await contractAt(engine, iso(START), { starting_at: iso(START), rate_card_id: card });
    const model = new LedgerModel({
      start: START,
      contract: customer.contractId,
      fiat,
      billsLate,
      prices,
      conversions: new Map([[unit, exact(UNIT_PRICE)]]),
    });
    const fixed = await fixedProduct(metronome, 'Credits');
    return new Walk(seed, model, { engine, customer, card, products, fixed });
  }

  private constructor(seed: number, model: LedgerModel, ground: Ground) {
    this.#random = new Random(seed);
    this.#model = model;
    this.#ground = ground;
    this.#check = new LedgerCheck(ground.engine, ground.customer, model);
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
      [2, () => this.#void()],
      [2, () => this.#regenerate()],
      [1, () => this.#recur()],
      [1, () => this.#renew()],
    ];
    let at = this.#random.next() * choices.reduce((sum, [weight]) => sum + weight, 0);
    const [, act] = choices.find(([weight]) => (at -= weight) < 0) ?? [0, () => this.#use()];
    this.history.push(`${iso(this.#model.now)} ${await act()}`);
  }

  /** Null where there is nothing to pick from. */
  #pick<T>(all: readonly T[]): T | null {
    return all.length === 0 ? null : this.#random.pick(all);
  }

  /** Mostly none; else one of those that are paid for in the unit. */
  #product(unit: string): string | null {
    const { prices } = this.#model;
    const sold = this.#ground.products.filter(({ productId }) => prices.get(productId)?.unit === unit);
    return this.#random.chance(0.3) ? (this.#pick(sold)?.productId ?? null) : null;
  }

  #unit(): string {
    const [custom = ''] = this.#model.conversions.keys();
    return this.#random.chance(0.3) ? custom : this.#model.fiat;
  }

  #fraction(): Decimal | null {
    return this.#random.chance(0.5) ? exact(this.#random.between(0, 4)).dividedBy(4) : null;
  }

  /** Terms that begin up to three weeks ago, but not before what they belong to. */
  #recently(from: number): number {
    const { now } = this.#model;
    return Math.max(from, now - this.#random.between(0, 20) * day + this.#random.between(0, 23) * hour);
  }

  async #grant(): Promise<string> {
    const model = this.#model;
    const { now, latest } = model;
    const type = this.#random.pick(['PREPAID', 'PREPAID', 'CREDIT', 'CREDIT', 'POSTPAID'] as const);
    const isPostpaid = type === 'POSTPAID';
    const ofContract = isPostpaid || this.#random.chance(0.6);
    const paid = isPostpaid || (type === 'PREPAID' && ofContract && this.#random.chance(0.5));
    const unit = isPostpaid ? model.fiat : this.#unit();
    const product = this.#product(unit);
    const fraction = ofContract && !isPostpaid ? this.#fraction() : null;
    const items: { amount: number; starting_at: string; ending_before: string }[] = [];
    let start = this.#recently(ofContract ? latest.start : START);
    for (let count = isPostpaid ? 1 : this.#random.between(1, 3); count > 0; count -= 1) {
      const end = Math.max(start, isPostpaid ? now : 0) + this.#random.between(48, 60 * 24) * hour;
      items.push({ amount: this.#random.between(1, 900), starting_at: iso(start), ending_before: iso(end) });
      start = end + (this.#random.chance(0.3) ? this.#random.between(1, 100) * hour : 0);
    }
    const name = unique(type);
    const priority = this.#random.between(1, 3);
    // What a postpaid commit promises is due once its time is over.
    const date = isPostpaid
      ? Date.parse(items[0]?.ending_before ?? '') + this.#random.between(0, 5) * day
      : now;
    const terms = {
      name,
      priority,
      product_id: this.#ground.fixed,
      access_schedule: { credit_type_id: unit, schedule_items: items },
      ...(product === null ? {} : { applicable_product_ids: [product] }),
      ...(fraction === null ? {} : { rollover_fraction: fraction.toNumber() }),
      ...(paid
        ? {
            invoice_schedule: {
              schedule_items: [{ timestamp: iso(date), amount: isPostpaid ? (items[0]?.amount ?? 0) : 500 }],
            },
          }
        : {}),
    };
    await this.#store(type, ofContract, terms);
    const made = (await this.#check.balances()).find((one) => one.name === name);
    const segments = (made?.access_schedule?.schedule_items ?? []).map((item) => ({
      id: item.id,
      amount: exact(item.amount),
      start: Date.parse(item.starting_at),
      end: Date.parse(item.ending_before),
      manual: exact(0),
      moved: exact(0),
    }));
    expect(segments).toHaveLength(items.length);
    model.grant({
      id: made?.id ?? '',
      type,
      unit,
      priority,
      paid,
      contract: ofContract ? latest.id : null,
      product,
      fraction,
      isRollover: false,
      segments,
      born: now,
      trueUp: isPostpaid ? { date, billed: null, isOff: false } : null,
    });
    return `grant ${name} ${JSON.stringify(terms)} ${ofContract ? 'of the contract' : ''}`;
  }

  async #store(type: ModelGrant['type'], ofContract: boolean, terms: BalanceTerms): Promise<void> {
    const { engine, customer } = this.#ground;
    const { v1, v2 } = engine.metronome;
    if (!ofContract) {
      if (type === 'CREDIT') await v1.customers.credits.create({ customer_id: customer.id, ...terms });
      else await v1.customers.commits.create({ customer_id: customer.id, type: 'PREPAID', ...terms });
      return;
    }
    const edit = { customer_id: customer.id, contract_id: this.#model.latest.id };
    if (type === 'CREDIT') await v2.contracts.edit({ ...edit, add_credits: [terms] });
    else await v2.contracts.edit({ ...edit, add_commits: [{ type, ...terms }] });
  }

  async #recur(): Promise<string> {
    const model = this.#model;
    const { latest, now } = model;
    const every = this.#random.pick([null, null, 'WEEKLY', 'MONTHLY'] as const);
    const unit = this.#unit();
    const product = this.#product(unit);
    const fraction = this.#fraction();
    const start = this.#recently(latest.start);
    const end = this.#random.chance(0.5) ? start + this.#random.between(24, 100 * 24) * hour : null;
    const terms = {
      name: unique('Recurring'),
      priority: this.#random.between(1, 3),
      amount: exact(this.#random.between(1, 300)),
      lasts: this.#random.between(1, 2),
    };
    const words: RecurringCredit = {
      name: terms.name,
      priority: terms.priority,
      product_id: this.#ground.fixed,
      access_amount: { unit_price: terms.amount.toNumber(), quantity: 1, credit_type_id: unit },
      commit_duration: { value: terms.lasts, unit: 'PERIODS' },
      starting_at: iso(start),
      proration: every === null ? 'FIRST_AND_LAST' : 'NONE',
      ...(end === null ? {} : { ending_before: iso(end) }),
      ...(every === null ? {} : { recurrence_frequency: every }),
      ...(product === null ? {} : { applicable_product_ids: [product] }),
      ...(fraction === null ? {} : { rollover_fraction: fraction.toNumber() }),
    };
    await this.#ground.engine.metronome.v2.contracts.edit({
      customer_id: this.#ground.customer.id,
      contract_id: latest.id,
      add_recurring_credits: [words],
    });
    const places = unit === model.fiat ? 0 : 2;
    model.recurring.push({
      ...terms,
      contract: latest.id,
      unit,
      product,
      fraction,
      start,
      end,
      every,
      places,
      born: now,
    });
    return `recurring ${JSON.stringify(words)}`;
  }

  async #renew(): Promise<string> {
    const model = this.#model;
    const { contracts, latest, now } = model;
    // What comes late for a contract that is over has a statement of its own: that is not in this walk.
    if (model.billsLate || contracts.length > RENEWALS_MAX || latest.start > now) return 'nothing to renew';
    const month = new Date(now);
    const at = this.#random.chance(0.4)
      ? Date.UTC(month.getUTCFullYear(), month.getUTCMonth() + 1, 1)
      : now + this.#random.between(1, 20 * 24) * hour;
    const trueup = this.#random.chance(0.3) ? ('REMOVE' as const) : ('AS_IS' as const);
    const { engine, customer, card } = this.#ground;
    const { data } = await engine.metronome.v1.contracts.create({
      customer_id: customer.id,
      starting_at: iso(at),
      rate_card_id: card,
      transition: {
        type: 'RENEWAL',
        from_contract_id: latest.id,
        future_invoice_behavior: { trueup },
      },
    });
    model.renew(data.id, at, trueup === 'REMOVE');
    return `renewal at ${iso(at)}, true-ups ${trueup}`;
  }

  #usage() {
    const product = this.#random.pick(this.#ground.products);
    const amount = exact(this.#random.between(1, 90_000)).dividedBy(1000);
    return { product, amount };
  }

  async #use(): Promise<string> {
    const { product, amount } = this.#usage();
    const at = Math.max(START, this.#model.now - this.#random.between(0, 25 * 24 * 60) * 60_000);
    const name = this.#random.chance(0.5) ? this.#ground.customer.id : this.#ground.customer.stripeId;
    await send(this.#ground.engine, name, product.eventType, [
      { at: iso(at), properties: { amount: amount.toFixed() } },
    ]);
    this.#model.uses.push({ product: product.productId, at, quantity: amount });
    return `use ${amount.toFixed()} of ${product.eventType} at ${iso(at)}`;
  }

  async #advance(): Promise<string> {
    const to = this.#model.now + this.#random.between(1, 18 * 24) * hour;
    await advance(this.#ground.engine, this.#ground.customer.clockId, iso(to));
    this.#model.advance(to);
    return `advance to ${iso(to)}`;
  }

  async #authorize(): Promise<string> {
    const model = this.#model;
    const available = model.available();
    const amount = available
      .times(this.#random.next() * 1.6)
      .toDecimalPlaces(2)
      .plus('0.01');
    const seconds = this.#random.between(60, 86_400);
    const { status, body } = await live(this.#ground.engine, 'POST', 'authorizations', {
      customer: this.#ground.customer.id,
      amount: amount.toFixed(),
      expires_in: seconds,
    });
    const fits = amount.lessThanOrEqualTo(available);
    expect(status).toBe(fits ? 200 : 402);
    if (fits)
      model.holds.push({ id: body.id, unit: model.holdUnit(), amount, expires: model.now + seconds * 1000 });
    return `authorize ${amount.toFixed()} of ${available.toFixed()} for ${seconds} s: ${status}`;
  }

  async #capture(): Promise<string> {
    const hold = this.#pick(this.#model.holds);
    if (hold === null) return 'nothing to capture';
    const { product, amount } = this.#usage();
    const event = { transaction_id: unique('tx'), event_type: product.eventType };
    const { status } = await live(this.#ground.engine, 'POST', `authorizations/${hold.id}/capture`, {
      events: [{ ...event, properties: { amount: amount.toFixed() } }],
    });
    expect(status).toBe(200);
    this.#drop(hold.id);
    this.#model.uses.push({ product: product.productId, at: this.#model.now, quantity: amount });
    return `capture ${hold.amount.toFixed()} with ${amount.toFixed()} of ${product.eventType}`;
  }

  async #release(): Promise<string> {
    const hold = this.#pick(this.#model.holds);
    if (hold === null) return 'nothing to release';
    expect((await live(this.#ground.engine, 'POST', `authorizations/${hold.id}/release`)).status).toBe(200);
    this.#drop(hold.id);
    return `release ${hold.amount.toFixed()}`;
  }

  #drop(id: string): void {
    this.#model.holds = this.#model.holds.filter((hold) => hold.id !== id);
  }

  async #manual(): Promise<string> {
    const { now } = this.#model;
    // What the engine makes by itself has no id here.
    const open = this.#model.grants.flatMap((grant) =>
      grant.type === 'POSTPAID' || !UUID.test(grant.id)
        ? []
        : grant.segments
            .filter(({ start, end }) => start <= now && now < end)
            .map((segment) => ({ grant, segment })),
    );
    const found = this.#pick(open);
    if (found === null) return 'nothing to correct';
    const { grant, segment } = found;
    // Takes at most what nobody has used: a ledger that is overdrawn by hand is another matter.
    const most = this.#model.balance(grant).toDecimalPlaces(2, Decimal.ROUND_DOWN);
    const share = this.#random.chance(0.5) ? most.negated() : exact(50);
    const amount = share.times(this.#random.next()).toDecimalPlaces(2, Decimal.ROUND_DOWN);
    await this.#ground.engine.metronome.v1.contracts.addManualBalanceEntry({
      id: grant.id,
      customer_id: this.#ground.customer.id,
      segment_id: segment.id,
      amount: amount.toNumber(),
      reason: 'By hand',
      timestamp: iso(Math.max(segment.start, now - hour)),
    });
    segment.manual = segment.manual.plus(amount);
    return `manual entry of ${amount.toFixed()} on ${grant.id}`;
  }

  async #void(): Promise<string> {
    const { engine, customer } = this.#ground;
    const { data } = await engine.metronome.v1.customers.invoices.list({
      customer_id: customer.id,
      status: 'FINALIZED',
    });
    const finals = data.filter(({ type }) => type === 'USAGE');
    expect(finals).toHaveLength(this.#model.finals().length);
    const invoice = this.#pick(finals);
    if (invoice === null) return 'nothing to void';
    const start = Date.parse(invoice.start_timestamp ?? '');
    await engine.metronome.v1.invoices.void({ id: invoice.id });
    this.#model.void(start);
    this.#voided.set(start, invoice.id);
    return `void the statement of ${iso(start)}`;
  }

  async #regenerate(): Promise<string> {
    const voided = this.#pick([...this.#voided]);
    if (voided === null) return 'nothing to regenerate';
    const [start, id] = voided;
    await this.#ground.engine.metronome.v1.invoices.regenerate({ id });
    this.#voided.delete(start);
    this.#model.regenerate(start);
    return `regenerate the statement of ${iso(start)}`;
  }

  check(): Promise<void> {
    return this.#check.all();
  }
}
