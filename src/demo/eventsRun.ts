import { randomBytes } from 'node:crypto';
import type Stripe from 'stripe';
import type { EventsOptions } from './args.js';
import { createPrice, ensureMeter } from './catalogue.js';
import { exact, expectedAmount } from './check.js';
import { advanceClock, inLanes, sendEvent } from './client.js';
import { DAY_MS, dayText, MINUTE_MS, unixSeconds } from './dates.js';
import { readRecords } from '../events-file/records.js';
import { type BadRow, type MappedRow, mapRecord, mappedColumns } from './eventsMapping.js';
import { type BilledCustomer, emptyTally, showInvoice, type Tally } from './invoices.js';
import { progressBar, type Screen } from '../terminal/screen.js';
import { readGrace } from './settings.js';
import type { DemoResult } from './story.js';
import { allMatch, renderSummary } from './summary.js';
import { UsageError } from '../terminal/usageError.js';

/** The first billed month. Rows keep their time of day and move here by whole days. */
const START = Date.UTC(2028, 0, 1);
const MONTHS_MAX = 36;
const CUSTOMERS_MAX = 100;
/** docs.stripe.com/billing/testing/test-clocks/api-advanced-usage */
const CUSTOMERS_ON_CLOCK_MAX = 3;
const LANES = 32;
const BAD_ROWS_SHOWN = 10;

/** What a first reading of the file finds. */
interface Survey {
  readonly rows: number;
  readonly bad: number;
  readonly firstTime: number;
  readonly lastTime: number;
  readonly customers: readonly string[];
}

interface Payer extends BilledCustomer {
  readonly tally: Tally;
  /** Exact usage that the engine has acknowledged, by month from 0. */
  readonly usage: bigint[];
}

/** Bills the usage in the user's own file. Throws UsageError when there is nothing in it to bill. */
export async function billFile(stripe: Stripe, screen: Screen, options: EventsOptions): Promise<DemoResult> {
  const run = new FileRun(stripe, screen, options);
  return run.bill();
}

class FileRun {
  readonly #stripe: Stripe;
  readonly #screen: Screen;
  readonly #options: EventsOptions;
  readonly #run = randomBytes(6).toString('hex');
  readonly #payers = new Map<string, Payer>();
  readonly #clocks: string[] = [];
  readonly #refused: BadRow[] = [];
  #sent = 0;
  #duplicates = 0;

  constructor(stripe: Stripe, screen: Screen, options: EventsOptions) {
    this.#stripe = stripe;
    this.#screen = screen;
    this.#options = options;
  }

  async bill(): Promise<DemoResult> {
    const { currency, price } = this.#options;
    const graceMs = await readGrace(this.#stripe);
    const survey = await this.#survey();
    const shift = shiftInto(START, survey.firstTime);
    const months = monthsUntil(survey.lastTime + shift);
    this.#screen.print(
      `${survey.rows.toLocaleString('en-US')} rows from ${dayText(survey.firstTime)} to ${dayText(survey.lastTime)}, ` +
        `moved by ${(shift / DAY_MS).toLocaleString('en-US')} days; ${survey.customers.length} customers; ${price}.`,
      '',
    );
    await this.#subscribe(survey.customers);
    for (let month = 0; month < months; month += 1) await this.#billMonth(month, shift, survey.rows, graceMs);
    const tallies = new Map([...this.#payers.values()].map(({ name, tally }) => [name, tally]));
    this.#screen.print(...renderSummary(tallies, currency), '');
    this.#reportRefused(survey);
    return { ok: allMatch(tallies), customers: [...this.#payers.values()] };
  }

  /** Reads the whole file once: what is wrong is said before anything is billed. */
  async #survey(): Promise<Survey> {
    const bad: BadRow[] = [];
    const customers = new Set<string>();
    let rows = 0;
    let firstTime = Number.POSITIVE_INFINITY;
    let lastTime = Number.NEGATIVE_INFINITY;
    let badRows = 0;
    for await (const row of this.#rows()) {
      if ('problem' in row) {
        badRows += 1;
        if (bad.length < BAD_ROWS_SHOWN) bad.push(row);
        continue;
      }
      rows += 1;
      firstTime = Math.min(firstTime, row.time);
      lastTime = Math.max(lastTime, row.time);
      customers.add(row.customer);
      if (customers.size > CUSTOMERS_MAX) {
        throw new UsageError(
          `the file has more than ${CUSTOMERS_MAX} customers; leave customer out to spread the rows`,
        );
      }
    }
    if (badRows > 0) this.#screen.print(`Rows that can't be used: ${badRows}`, ...listed(bad, badRows), '');
    if (rows === 0) throw new UsageError(`there is no usable row in ${this.#options.file}`);
    return { rows, bad: badRows, firstTime, lastTime, customers: [...customers].sort(byNumber) };
  }

  async *#rows(): AsyncGenerator<MappedRow | BadRow> {
    const { file, format, mapping, customers } = this.#options;
    let number = 0;
    for await (const record of readRecords(file, format, mappedColumns(mapping))) {
      number += 1;
      yield mapRecord(mapping, customers, record, number);
    }
  }

  async #subscribe(names: readonly string[]): Promise<void> {
    const { mapping, terms, currency } = this.#options;
    const { eventName } = mapping;
    const meterId = await ensureMeter(this.#stripe, { eventName, displayName: eventName, formula: 'sum' });
    const product = mapping.value ?? 'Requests';
    const price = await createPrice(this.#stripe, { product, unitLabel: null, currency, terms, meterId });
    for (const [index, name] of names.entries()) {
      this.#screen.status(`${progressBar(index, names.length)} customers`);
      if (index % CUSTOMERS_ON_CLOCK_MAX === 0) {
        const clock = await this.#stripe.testHelpers.testClocks.create({ frozen_time: unixSeconds(START) });
        this.#clocks.push(clock.id);
      }
      const customer = await this.#stripe.customers.create({ name, test_clock: this.#clocks.at(-1) ?? '' });
      const subscription = await this.#stripe.subscriptions.create({
        customer: customer.id,
        items: [{ price: price.id }],
      });
      this.#payers.set(name, {
        name,
        customerId: customer.id,
        subscriptionId: subscription.id,
        tally: emptyTally(),
        usage: [],
      });
    }
  }

  async #billMonth(month: number, shift: number, rows: number, graceMs: number): Promise<void> {
    const end = monthStart(month + 1);
    this.#screen.status(`${dayText(monthStart(month))} to ${dayText(end)}`);
    // Usage is taken for at most 35 days back and 5 minutes ahead, so it is sent when its month is nearly over.
    await this.#moveTo(end - MINUTE_MS);
    await inLanes(this.#rowsOf(month, shift), LANES, async (row) => {
      await this.#send(row, month, row.time + shift);
      if (this.#sent % 100 === 0) this.#screen.status(`${progressBar(this.#sent, rows)} events`);
    });
    await this.#moveTo(end + graceMs + MINUTE_MS);
    this.#screen.print(`${dayText(monthStart(month))} to ${dayText(end)}`);
    for (const payer of this.#payers.values()) {
      const expected = expectedAmount(this.#options.terms, payer.usage[month] ?? 0n);
      await showInvoice(this.#stripe, this.#screen, payer, end, expected, payer.tally);
    }
  }

  async *#rowsOf(month: number, shift: number): AsyncGenerator<MappedRow> {
    const start = monthStart(month);
    const end = monthStart(month + 1);
    for await (const row of this.#rows()) {
      if ('problem' in row) continue;
      const time = row.time + shift;
      if (time >= start && time < end) yield row;
    }
  }

  async #send(row: MappedRow, month: number, time: number): Promise<void> {
    const payer = this.#payers.get(row.customer);
    if (payer === undefined) throw new UsageError('the file has changed while it was read');
    const outcome = await sendEvent(this.#stripe, {
      eventName: this.#options.mapping.eventName,
      customerId: payer.customerId,
      value: row.value,
      time,
      identifier: `${this.#run}-${row.identifier ?? String(row.number)}`,
    });
    this.#sent += 1;
    if (outcome === 'stored') payer.usage[month] = (payer.usage[month] ?? 0n) + exact(row.value);
    else if (outcome === 'duplicate') this.#duplicates += 1;
    else this.#refused.push({ line: row.line, problem: outcome.refused });
  }

  async #moveTo(instant: number): Promise<void> {
    await inLanes(this.#clocks, 4, (clock) => advanceClock(this.#stripe, clock, instant));
  }

  #reportRefused(survey: Survey): void {
    const refused = this.#refused.length;
    const shown = this.#refused.slice(0, BAD_ROWS_SHOWN);
    if (refused > 0)
      this.#screen.print(`Rows that the engine refused: ${refused}`, ...listed(shown, refused), '');
    this.#screen.print(
      `Rows billed: ${this.#sent - refused - this.#duplicates}, duplicates: ${this.#duplicates}, ` +
        `not usable: ${survey.bad + refused}.`,
      '',
    );
  }
}

/** By how much times move so that the first one falls on the first day of the billed month, at its own time of day. */
export function shiftInto(start: number, firstTime: number): number {
  return start - Math.floor(firstTime / DAY_MS) * DAY_MS;
}

function monthStart(index: number): number {
  const start = new Date(START);
  return Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + index, 1);
}

function monthsUntil(time: number): number {
  for (let months = 1; months <= MONTHS_MAX; months += 1) {
    if (time < monthStart(months)) return months;
  }
  throw new UsageError(`the file covers more than ${MONTHS_MAX} months`);
}

function listed(rows: readonly BadRow[], all: number): string[] {
  const shown = rows.map(({ line, problem }) => `  line ${line}: ${problem}`);
  return all > rows.length ? [...shown, `  and ${all - rows.length} more`] : shown;
}

function byNumber(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}
