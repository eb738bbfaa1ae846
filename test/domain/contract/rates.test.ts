import { describe, expect, it } from 'vitest';
import { aliasHolder, aliasWithout } from '../../../src/domain/contract/aliases.js';
import { rateInForce } from '../../../src/domain/contract/rateCard.js';
import type { Override } from '../../../src/domain/contract/terms.js';
import { toText } from '../../../src/domain/decimal.js';
import {
  balanceOf,
  burned,
  dec,
  flat,
  invoiceOf,
  multiplierOf,
  overrideOf,
  rateOf,
  shownLines,
  specifierOf,
  tiered,
  total,
  usageProduct,
  used,
  utc,
} from './builders.js';

const at = '2024-09-10';
const api = usageProduct('API');
const priced = (rate: Parameters<typeof rateOf>[1], quantity: string, terms = {}, balances = [] as never[]) =>
  invoiceOf({
    products: [api],
    rates: [rateOf('API', rate)],
    usage: [used('API', at, quantity)],
    terms,
    balances,
  });

describe('tiers', () => {
  const tiers = tiered(['5', '0'], ['5', '100'], [null, '150']);

  it.each([
    ['5', '0'],
    ['10', '500'],
    ['12', '800'],
    ['10.5', '575'],
  ])('6.9 %s units cost %s cents', (quantity, cents) => {
    expect(total(priced(tiers, quantity))).toBe(cents);
  });

  it('6.9 counts every project by itself', () => {
    const product = usageProduct('API', { presentationGroupKey: ['project_id'] });
    const usage = [
      used('API', at, '12', {}, { project_id: 'A' }),
      used('API', at, '4', {}, { project_id: 'B' }),
    ];
    const invoice = invoiceOf({ products: [product], rates: [rateOf('API', tiers)], usage });
    expect(total(invoice)).toBe('800');
    expect(invoice.lines.map(({ tier }) => tier?.level).toSorted()).toEqual([1, 1, 2, 3]);
  });

  it('6.10 1,500 GB at 0.10 for the first thousand and 0.09 after cost 145 dollars', () => {
    expect(total(priced(tiered(['1000', '10'], [null, '9']), '1500'))).toBe('14500');
  });

  it.each([
    ['10', '800'],
    ['20', '1500'],
    ['25', '2000'],
  ])('6.10b a tiered override on a dollar: %s units cost %s cents', (quantity, cents) => {
    const tiersOf = [
      { size: dec('10'), multiplier: dec('0.8') },
      { size: dec('10'), multiplier: dec('0.7') },
    ];
    const overrides = [overrideOf({ type: 'TIERED', tiers: tiersOf, priority: 1 })];
    expect(total(priced('100', quantity, { overrides, prioritization: 'EXPLICIT' }))).toBe(cents);
  });

  it('goes on counting over a change of rates within the statement', () => {
    const rates = [
      rateOf('API', tiered(['10', '100'], [null, '50'])),
      rateOf('API', tiered(['10', '200'], [null, '80']), { startingAt: utc('2024-09-15') }),
    ];
    const usage = [used('API', '2024-09-14', '8'), used('API', '2024-09-15', '8')];
    const invoice = invoiceOf({ products: [api], rates, usage });
    expect(shownLines(invoice)).toEqual(['API 8 × 100 = 800', 'API 2 × 200 = 400', 'API 6 × 80 = 480']);
  });

  it('shares the counter between list and commit price', () => {
    const segment = rateOf('API', tiered(['10', '100'], [null, '50']), {
      commitRate: tiered(['5', '80'], [null, '40']),
    });
    const balances = [balanceOf('Commit', '480', { rateType: 'COMMIT_RATE' })];
    const invoice = invoiceOf({
      products: [api],
      rates: [segment],
      usage: [used('API', at, '20')],
      balances,
    });
    expect(shownLines(invoice)).toEqual([
      'API 5 × 80 = 400 [Commit]',
      'API 2 × 40 = 80 [Commit]',
      'Commit – × – = -480 [Commit]',
      'API 3 × 100 = 300',
      'API 10 × 50 = 500',
    ]);
  });
});

describe('dimensions and dates', () => {
  const table = { aws: { R1: '12', R2: '16' }, azure: { R1: '14', R2: '18' } };

  it('6.10c prices every combination of region and cloud by its own rate', () => {
    const product = usageProduct('P1', { pricingGroupKey: ['region', 'cloud'] });
    const combinations = Object.entries(table).flatMap(([cloud, regions]) =>
      Object.entries(regions).map(([region, price]) => ({ values: { cloud, region }, price })),
    );
    const invoice = invoiceOf({
      products: [product],
      rates: combinations.map(({ values, price }) => rateOf('P1', price, { pricingGroupValues: values })),
      usage: combinations.map(({ values: { cloud, region } }) => used('P1', at, '2', { region, cloud })),
    });
    expect(invoice.lines.map((line) => toText(line.total)).toSorted()).toEqual(['24', '28', '32', '36']);
  });

  it('6.10e prices usage before and after a scheduled change on lines of their own', () => {
    const region = (name: string) => ({ pricingGroupValues: { region: name } });
    const later = { startingAt: utc('2025-01-01') };
    const rates = [
      rateOf('P', '100', region('us-west-2')),
      rateOf('P', '120', { ...region('us-west-2'), ...later }),
      rateOf('P', '120', region('us-east-2')),
      rateOf('P', '140', { ...region('us-east-2'), ...later }),
    ];
    const usage = ['2024-12-31T23:00:00Z', '2025-01-01'].flatMap((when) =>
      ['us-west-2', 'us-east-2'].map((name) => used('P', when, '1', { region: name })),
    );
    const invoice = invoiceOf({
      products: [usageProduct('P', { pricingGroupKey: ['region'] })],
      rates,
      usage,
      from: '2024-12-15',
      to: '2025-01-15',
    });
    expect(shownLines(invoice)).toEqual([
      'P 1 × 120 = 120',
      'P 1 × 100 = 100',
      'P 1 × 140 = 140',
      'P 1 × 120 = 120',
    ]);
    expect(invoice.lines.map(({ period }) => period?.start)).toEqual([
      utc('2024-12-15'),
      utc('2024-12-15'),
      utc('2025-01-01'),
      utc('2025-01-01'),
    ]);
  });

  it('takes the rate that starts last, and of two such the one added last', () => {
    const rates = [
      rateOf('API', '1', { startingAt: utc('2024-02-01') }),
      rateOf('API', '2', { startingAt: utc('2024-01-01') }),
      rateOf('API', '3', { startingAt: utc('2024-02-01'), endingBefore: utc('2024-03-01') }),
    ];
    const price = (when: string) => rateInForce(rates, utc(when))?.rate.price ?? null;
    expect([price('2023-12-31'), price('2024-01-15'), price('2024-02-01'), price('2024-03-01')]).toEqual([
      null,
      dec('2'),
      dec('3'),
      dec('1'),
    ]);
  });

  it('resolves an alias as of the start of the contract, to the card that got it last', () => {
    const open = { name: 'standard', startingAt: null, endingBefore: null };
    const cards = [
      { ...open, holderId: 'old' },
      { ...open, holderId: 'new', startingAt: utc('2024-06-01') },
    ];
    expect(aliasHolder(cards, 'standard', utc('2024-05-31'))).toBe('old');
    expect(aliasHolder(cards, 'standard', utc('2024-06-01'))).toBe('new');
    expect(aliasHolder(cards, 'premium', utc('2024-06-01'))).toBe(null);
  });

  it('leaves of an alias what nobody else takes', () => {
    const alias = (from: string | null, to: string | null) => ({
      name: 'standard',
      startingAt: from === null ? null : utc(from),
      endingBefore: to === null ? null : utc(to),
    });
    const always = alias(null, null);
    const [spring, summer] = [alias('2024-03-01', '2024-06-01'), alias('2024-06-01', '2024-09-01')];
    expect(aliasWithout(always, { ...always, name: 'other' })).toEqual([always]);
    expect(aliasWithout(always, alias('2024-03-01', null))).toEqual([alias(null, '2024-03-01')]);
    expect(aliasWithout(always, spring)).toEqual([alias(null, '2024-03-01'), alias('2024-06-01', null)]);
    expect(aliasWithout(spring, always)).toEqual([]);
    expect(aliasWithout(spring, summer)).toEqual([spring]);
    expect(aliasWithout(spring, alias('2024-05-01', '2024-07-01'))).toEqual([
      alias('2024-03-01', '2024-05-01'),
    ]);
  });

  it('converts, then rounds the running total, so that roundings never add up', () => {
    const product = usageProduct('API', {
      quantityConversion: { factor: dec('1000'), operation: 'divide' },
      quantityRounding: { method: 'round_up', places: 0 },
    });
    const rates = [rateOf('API', '10'), rateOf('API', '20', { startingAt: utc('2024-09-15') })];
    const usage = [used('API', '2024-09-14', '1200'), used('API', '2024-09-15', '600')];
    const invoice = invoiceOf({ products: [product], rates, usage });
    expect(shownLines(invoice)).toEqual(['API 2 × 10 = 20']);
  });
});

describe('overrides and commit rates', () => {
  it('6.16 shows product B only from the day on which the contract sells it, at 0.8', () => {
    const from = utc('2025-10-01');
    const invoice = invoiceOf({
      products: [usageProduct('B')],
      rates: [rateOf('B', '100', { entitled: false })],
      usage: [used('B', '2025-09-30', '10'), used('B', '2025-10-02', '10')],
      terms: {
        overrides: [multiplierOf('0.8', { startingAt: from, entitled: true })],
      },
      balances: [
        balanceOf('B only', '1000000', {
          applicability: { productIds: ['B'], productTags: [], specifiers: [] },
        }),
      ],
      from: '2025-09-15',
      to: '2025-10-15',
    });
    expect(shownLines(invoice)).toEqual(['B 10 × 80 = 800 [B only]', 'B only – × – = -800 [B only]']);
    expect(invoice.lines[0]?.period?.start).toBe(from);
    expect(invoice.unbilled).toMatchObject([{ reason: 'not_entitled' }]);
  });

  it('6.28 gives commit A its own discount, and everybody else the contract’s', () => {
    const specifiers = [specifierOf({ productTags: ['audio'], balanceIds: ['A'] })];
    const invoice = invoiceOf({
      products: ['One', 'Two'].map((name) => usageProduct(name, { tags: ['audio'] })),
      rates: [rateOf('One', '100'), rateOf('Two', '200')],
      usage: [used('One', at, '10'), used('Two', at, '10')],
      balances: [balanceOf('A', '800', { priority: 1 }), balanceOf('B', '95', { priority: 2 })],
      terms: {
        overrides: [multiplierOf('0.95'), multiplierOf('0.8', { isCommitSpecific: true, specifiers })],
      },
    });
    expect(shownLines(invoice)).toEqual([
      'Two 5 × 160 = 800 [A]',
      'Two 0.5 × 190 = 95 [B]',
      'A – × – = -800 [A]',
      'B – × – = -95 [B]',
      'Two 4.5 × 190 = 855',
      'One 10 × 95 = 950',
    ]);
  });

  it('6.29 keeps tenths of a cent of commit-specific prices', () => {
    const overwrite = (price: string) =>
      overrideOf({ type: 'OVERWRITE', overwriteRate: flat(price), isCommitSpecific: true });
    const invoice = invoiceOf({
      products: [api],
      rates: [rateOf('API', '100')],
      usage: [used('API', at, '3')],
      balances: [balanceOf('Commit', '177.8')],
      terms: { overrides: [overwrite('75'), overwrite('88.9')] },
    });
    expect(shownLines(invoice)).toEqual([
      'API 2 × 88.9 = 177.8 [Commit]',
      'Commit – × – = -177.8 [Commit]',
      'API 1 × 100 = 100',
    ]);
  });

  it('6.30 covers 12.5 units at the commit rate, and the other 7.5 at list', () => {
    const invoice = invoiceOf({
      products: [api],
      rates: [rateOf('API', '1000', { commitRate: flat('800') })],
      usage: [used('API', at, '20')],
      balances: [balanceOf('Commit', '10000', { rateType: 'COMMIT_RATE' })],
    });
    expect(shownLines(invoice)).toEqual([
      'API 12.5 × 800 = 10000 [Commit]',
      'Commit – × – = -10000 [Commit]',
      'API 7.5 × 1000 = 7500',
    ]);
  });

  it('6.32 charges nothing beyond the balance where the list price is zero', () => {
    const overrides = [overrideOf({ type: 'OVERWRITE', overwriteRate: flat('100'), isCommitSpecific: true })];
    const invoice = invoiceOf({
      products: [api],
      rates: [rateOf('API', '0')],
      usage: [used('API', at, '150')],
      balances: [balanceOf('Commit', '10000')],
      terms: { overrides },
    });
    expect(shownLines(invoice)).toEqual([
      'API 100 × 100 = 10000 [Commit]',
      'Commit – × – = -10000 [Commit]',
      'API 50 × 0 = 0',
    ]);
    expect(total(invoice)).toBe('0');
  });

  it('6.33 gives a trial week away', () => {
    const trial = multiplierOf('0', { startingAt: utc('2024-09-01'), endingBefore: utc('2024-09-08') });
    const invoice = invoiceOf({
      products: [api],
      rates: [rateOf('API', '100')],
      usage: [used('API', '2024-09-07T23:00:00Z', '5'), used('API', '2024-09-08', '5')],
      terms: { overrides: [trial] },
    });
    expect(shownLines(invoice)).toEqual(['API 5 × 0 = 0', 'API 5 × 100 = 500']);
  });

  const price = (overrides: Override[], more = {}) => total(priced('100', '1', { overrides, ...more }));

  it('lets one override win and never stacks', () => {
    const overwrite = (cents: string) => overrideOf({ type: 'OVERWRITE', overwriteRate: flat(cents) });
    expect(price([multiplierOf('0.9'), multiplierOf('0.8'), multiplierOf('0.95')])).toBe('80');
    expect(price([overwrite('70'), multiplierOf('0.1'), overwrite('60')])).toBe('60');
    const ranked = [multiplierOf('0.8', { priority: 2 }), multiplierOf('0.9', { priority: 1 })];
    expect(price(ranked, { prioritization: 'EXPLICIT' })).toBe('90');
    expect(price([multiplierOf('0.5', { specifiers: [specifierOf({ productId: 'Other' })] })])).toBe('100');
  });

  it('falls back to list price and list overrides where there is no commit rate', () => {
    const invoice = invoiceOf({
      products: [api],
      rates: [rateOf('API', '100')],
      usage: [used('API', at, '1')],
      balances: [balanceOf('Commit', '1000', { rateType: 'COMMIT_RATE' })],
      terms: { overrides: [multiplierOf('0.1', { target: 'COMMIT_RATE' }), multiplierOf('0.9')] },
    });
    expect(burned(invoice)).toEqual({ Commit: '90' });
  });

  it('charges the larger of percentage and minimum, once', () => {
    const percentage = { ...flat('0.05'), rateType: 'PERCENTAGE' as const, minimum: dec('700') };
    expect(shownLines(priced(percentage, '10000'))).toEqual(['API 1 × 200 = 200', 'API 10000 × 0.05 = 500']);
    expect(total(priced(percentage, '10000'))).toBe('700');
    expect(total(priced(percentage, '20000'))).toBe('1000');
  });
});

describe('composite products', () => {
  const fee = (composite: Partial<NonNullable<ReturnType<typeof usageProduct>['composite']>>) =>
    usageProduct('Support', {
      type: 'COMPOSITE',
      composite: {
        productIds: ['API'],
        tags: [],
        excludeFreeUsage: false,
        includeCompositeSpend: false,
        scope: 'contract',
        ...composite,
      },
    });
  const scenario = (excludeFreeUsage: boolean) => ({
    products: [api, usageProduct('Other'), fee({ excludeFreeUsage })],
    rates: [
      rateOf('API', '100'),
      rateOf('Other', '100'),
      rateOf('Support', { ...flat('0.1'), rateType: 'PERCENTAGE' as const }),
    ],
    usage: [used('API', at, '50'), used('Other', at, '7')],
    balances: [
      balanceOf('Free', '2000', { applicability: { productIds: ['API'], productTags: [], specifiers: [] } }),
    ],
  });

  it('charge a share of what the named products cost before anyone paid', () => {
    const invoice = invoiceOf(scenario(false));
    expect(shownLines(invoice).at(-1)).toBe('Support 5000 × 0.1 = 500');
    expect(total(invoice)).toBe('4200');
  });

  it('can leave out what free credit paid for', () => {
    expect(shownLines(invoiceOf(scenario(true))).at(-1)).toBe('Support 3000 × 0.1 = 300');
  });
});
