import { toText, ZERO } from '../../../src/domain/decimal.js';
import {
  type DraftInvoice,
  computeUsageInvoice,
  type UsageInvoiceInput,
} from '../../../src/domain/contract/draft.js';
import type { DraftLine } from '../../../src/domain/contract/lines.js';
import type { AccessSegment, Balance, ScheduleItem } from '../../../src/domain/contract/balanceTerms.js';
import type {
  ContractTerms,
  GroupValues,
  Override,
  OverrideSpecifier,
  PresentationValues,
  PricingUnit,
  Product,
  Rate,
  RateCard,
  RateSegment,
  Specifier,
  UsageSlice,
} from '../../../src/domain/contract/terms.js';
import { dec, utc } from '../builders.js';

export const USD = 'usd-cents';
export const TOKENS = 'tokens';

export const UNITS: ReadonlyMap<string, PricingUnit> = new Map([
  [USD, { id: USD, name: 'USD (cents)', isCurrency: true, places: 0 }],
  [TOKENS, { id: TOKENS, name: 'Tokens', isCurrency: false, places: 2 }],
]);

const NO_APPLICABILITY = { productIds: [], productTags: [], specifiers: [] };

export function usageProduct(id: string, more: Partial<Product> = {}): Product {
  return {
    id,
    name: id,
    type: 'USAGE',
    tags: [],
    pricingGroupKey: [],
    presentationGroupKey: [],
    quantityConversion: null,
    quantityRounding: null,
    composite: null,
    ...more,
  };
}

export function flat(price: string, creditTypeId = USD): Rate {
  return { rateType: 'FLAT', price: dec(price), tiers: [], minimum: null, creditTypeId };
}

/** Tiers from texts: `tiered(['5', '0'], [null, '150'])` is five free units, then 1.50. */
export function tiered(...tiers: [size: string | null, price: string][]): Rate {
  const parsed = tiers.map(([size, price]) => ({
    size: size === null ? null : dec(size),
    price: dec(price),
  }));
  return { rateType: 'TIERED', price: null, tiers: parsed, minimum: null, creditTypeId: USD };
}

export function rateOf(productId: string, rate: Rate | string, more: Partial<RateSegment> = {}): RateSegment {
  return {
    productId,
    pricingGroupValues: {},
    billingFrequency: null,
    startingAt: utc('2020-01-01'),
    endingBefore: null,
    entitled: true,
    rate: typeof rate === 'string' ? flat(rate) : rate,
    commitRate: null,
    ...more,
  };
}

export function cardOf(rates: RateSegment[], fiatPerToken = '10'): RateCard {
  return { id: 'card', fiatCreditTypeId: USD, fiatPerUnit: new Map([[TOKENS, dec(fiatPerToken)]]), rates };
}

export function contractOf(more: Partial<ContractTerms> = {}): ContractTerms {
  return {
    id: 'contract',
    startingAt: utc('2024-01-01'),
    endingBefore: null,
    statements: { frequency: 'MONTHLY', day: 'FIRST_OF_MONTH', anchor: null, generationStartingAt: null },
    overrides: [],
    prioritization: 'LOWEST_MULTIPLIER',
    recurring: [],
    subscriptions: [],
    scheduledCharges: [],
    consolidatesScheduledCharges: false,
    ...more,
  };
}

export function segmentOf(amount: string, from: string, to: string, id = `${from}..${to}`): AccessSegment {
  return { id, amount: dec(amount), startingAt: utc(from), endingBefore: utc(to) };
}

export function itemOf(id: string, timestamp: string, amount: string): ScheduleItem {
  const value = dec(amount);
  return { id, timestamp: utc(timestamp), amount: value, unitPrice: value, quantity: dec('1') };
}

/** A credit of the contract over all the time that the tests use, unless told otherwise. */
export function balanceOf(id: string, amount: string, more: Partial<Balance> = {}): Balance {
  return {
    id,
    type: 'CREDIT',
    name: id,
    productId: `${id} product`,
    creditTypeId: USD,
    priority: 100,
    rateType: 'LIST_RATE',
    access: [segmentOf(amount, '2020-01-01', '2030-01-01', `${id} segment`)],
    invoiceSchedule: null,
    rolloverFraction: null,
    applicability: NO_APPLICABILITY,
    contractId: 'contract',
    applicableContractIds: null,
    rolledOverFrom: null,
    recurringId: null,
    createdAt: 0,
    archivedAt: null,
    entries: [],
    trueUpDisabled: false,
    ...more,
  };
}

export function invoiced(amount: string, at = '2024-01-01'): Pick<Balance, 'invoiceSchedule'> {
  return { invoiceSchedule: { creditTypeId: USD, items: [itemOf('item', at, amount)], doNotInvoice: false } };
}

export function specifierOf(more: Partial<OverrideSpecifier>): OverrideSpecifier & Specifier {
  return {
    productId: null,
    productTags: [],
    pricingGroupValues: {},
    presentationGroupValues: {},
    excludedTags: [],
    billingFrequency: null,
    balanceIds: [],
    recurringIds: [],
    ...more,
  };
}

export function overrideOf(more: Partial<Override>): Override {
  return {
    id: 'override',
    startingAt: utc('2020-01-01'),
    endingBefore: null,
    entitled: null,
    type: null,
    multiplier: null,
    priority: null,
    overwriteRate: null,
    tiers: [],
    specifiers: [],
    isCommitSpecific: false,
    target: 'LIST_RATE',
    ...more,
  };
}

export const multiplierOf = (multiplier: string, more: Partial<Override> = {}): Override =>
  overrideOf({ type: 'MULTIPLIER', multiplier: dec(multiplier), ...more });

/** An hour of usage. */
export function used(
  productId: string,
  at: string,
  quantity: string,
  pricingGroupValues: GroupValues = {},
  presentationGroupValues: PresentationValues = {},
): UsageSlice {
  const start = utc(at);
  const end = start + 3_600_000;
  return { productId, start, end, pricingGroupValues, presentationGroupValues, quantity: dec(quantity) };
}

export interface Scenario {
  products: Product[];
  rates: RateSegment[];
  usage: UsageSlice[];
  balances?: Balance[];
  terms?: Partial<ContractTerms>;
  from?: string;
  to?: string;
  card?: RateCard;
}

export function inputOf(scenario: Scenario): UsageInvoiceInput {
  const {
    products,
    rates,
    usage,
    balances = [],
    terms = {},
    from = '2024-09-01',
    to = '2024-10-01',
  } = scenario;
  return {
    invoiceId: 'invoice',
    terms: contractOf(terms),
    rateCard: scenario.card ?? cardOf(rates),
    products: new Map(products.map((product) => [product.id, product])),
    units: UNITS,
    balances,
    usage,
    period: { start: utc(from), end: utc(to) },
    graceMs: 86_400_000,
  };
}

export const invoiceOf = (scenario: Scenario): DraftInvoice => computeUsageInvoice(inputOf(scenario));

/** "name quantity × price = total [balance]", as a person reads an invoice. */
export function shown(line: DraftLine): string {
  const text = (value: DraftLine['quantity']) => (value === null ? '–' : toText(value));
  const payer = line.balance === null ? '' : ` [${line.balance.id}]`;
  return `${line.name} ${text(line.quantity)} × ${text(line.unitPrice)} = ${toText(line.total)}${payer}`;
}

export const shownLines = (invoice: DraftInvoice): string[] => invoice.lines.map(shown);

/** Total, by name of the balance that was drawn on. */
export function burned(invoice: DraftInvoice): Record<string, string> {
  return Object.fromEntries(invoice.deductions.map(({ balanceId, amount }) => [balanceId, toText(amount)]));
}

export const total = (invoice: DraftInvoice): string => toText(invoice.total);

export const iso = (instant: number): string => new Date(instant).toISOString().slice(0, 10);

export { dec, utc, ZERO };
