import { expect } from 'vitest';
import { live } from '../live/world.js';
import type { TestEngine } from '../support/engine.js';
import type { LedgerModel } from './ledgerModel.js';
import { type Drafts, exact } from './ledgerTerms.js';
import type { Decimal } from 'decimal.js';

/** Reads what the engine has of a customer and compares it with the model. */
export class LedgerCheck {
  readonly #who: { engine: TestEngine; customer: { id: string; stripeId: string } };
  readonly #model: LedgerModel;

  constructor(engine: TestEngine, customer: { id: string; stripeId: string }, model: LedgerModel) {
    this.#who = { engine, customer };
    this.#model = model;
  }

  async balances() {
    const all = [];
    const list = this.#who.engine.metronome.v1.contracts.listBalances({
      customer_id: this.#who.customer.id,
      include_contract_balances: true,
      include_balance: true,
      include_ledgers: true,
    });
    for await (const balance of list) all.push(balance);
    return all;
  }

  /** Every ledger adds up to its balance, and everything is as the model has it. */
  async all(): Promise<void> {
    const model = this.#model;
    const drafts = model.drafts();
    const balances = await this.balances();
    const shown = balances.map((one) => ({
      id: nameOf(one, balances),
      balance: money(one.balance ?? NaN),
      ledger: money((one.ledger ?? []).reduce((sum, { amount }) => sum.plus(amount), exact(0))),
    }));
    const wanted = [...model.grants, ...drafts.rollovers].map((grant) => ({
      id: grant.id,
      balance: money(model.balance(grant, drafts)),
      ledger: money(model.ledger(grant, drafts)),
    }));
    expect(sorted(shown)).toEqual(sorted(wanted));
    expect(shown.filter(({ balance }) => balance.startsWith('-'))).toEqual([]);
    await this.#checkSums();
    await this.#checkInvoices(drafts);
  }

  async #checkSums(): Promise<void> {
    const model = this.#model;
    const { engine, customer } = this.#who;
    for (const unit of [model.fiat, ...model.conversions.keys()]) {
      const net = await engine.metronome.v1.contracts.getNetBalance({
        customer_id: customer.id,
        credit_type_id: unit,
      });
      expect(money(net.data.balance)).toBe(money(model.net(unit)));
    }
    const { body } = await live(engine, 'GET', `entitlements?customer=${customer.stripeId}&amount=0`);
    expect([body.balance, body.held, body.available].map(money)).toEqual(
      [model.spendable(), model.held(), model.available()].map(money),
    );
  }

  async #checkInvoices(drafts: Drafts): Promise<void> {
    const model = this.#model;
    const { engine, customer } = this.#who;
    const invoices = [];
    for await (const one of engine.metronome.v1.customers.invoices.list({ customer_id: customer.id }))
      if (one.status !== 'VOID') invoices.push(one);
    const statements = invoices.filter(({ type }) => type === 'USAGE');
    const totals = statements.map((one) => [Date.parse(one.start_timestamp ?? ''), money(one.total)]);
    const finals = model.finals().map(({ start, total }) => [start, total] as const);
    const expected = [...drafts.totals, ...finals].map(([start, total]) => [start, money(total)]);
    expect(sorted(totals)).toEqual(sorted(expected));

    const promised = new Set(model.grants.filter(({ trueUp }) => trueUp !== null).map(({ id }) => id));
    const trueUps = invoices.flatMap(({ type, status, line_items: lines, total }) => {
      const id = lines.find(({ commit_id: commit }) => promised.has(commit ?? ''))?.commit_id ?? '';
      return type === 'SCHEDULED' && id !== '' ? [{ id, status, total: money(total) }] : [];
    });
    const due = model.trueUps(drafts).filter(({ total }) => !total.isZero());
    expect(sorted(trueUps)).toEqual(sorted(due.map((one) => ({ ...one, total: money(one.total) }))));
  }
}

type ShownBalance = Awaited<
  ReturnType<TestEngine['metronome']['v1']['contracts']['listBalances']>
>['data'][number];

/** What the model calls a balance: by its id, or by what made it. */
function nameOf(balance: ShownBalance, all: readonly ShownBalance[]): string {
  const from = { commit_id: undefined, credit_id: undefined, ...balance.rolled_over_from };
  const source = all.find(({ id }) => id === from.commit_id || id === from.credit_id);
  if (source !== undefined) return `rest of ${nameOf(source, all)}`;
  if (!('recurring_credit_id' in balance)) return balance.id;
  return `${balance.name ?? ''}@${Date.parse(balance.access_schedule?.schedule_items[0]?.starting_at ?? '')}`;
}

/** The SDK reads amounts as doubles, so the last of their digits say nothing. */
const money = (amount: Decimal.Value): string => exact(amount).toDecimalPlaces(6).toFixed();

const sorted = (rows: readonly unknown[]): string[] => rows.map((row) => JSON.stringify(row)).sort();
