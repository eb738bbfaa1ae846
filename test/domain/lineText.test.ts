import { describe, expect, it } from 'vitest';
import {
  describeLateUsage,
  describePart,
  describeRemainingTime,
  explainParts,
} from '../../src/domain/lineText.js';
import type { Price } from '../../src/domain/price.js';
import { rate } from '../../src/domain/rating/rate.js';
import { dec, licensedPrice, packagePrice, perUnitPrice, tier, tieredPrice, utc } from './builders.js';

const texts = (price: Price, quantity: string) =>
  rate(price, dec(quantity)).map((part) => describePart(price, part));

describe('what a line says', () => {
  const graduated = tieredPrice('graduated', [tier('1000', '0', '900'), tier(null, '3.6', '0')]);

  it('names the tier, its unit price and its flat fee', () => {
    expect(texts({ ...graduated, unitLabel: 'call' }, '1031')).toEqual([
      '1000 call × API (Tier 1 at $0.00 / month)',
      'API (Tier 1 at $9.00 / month)',
      '31 call × API (Tier 2 at $0.036 / month)',
      'API (Tier 2 at $0.00 / month)',
    ]);
  });

  it('has no unit label where the product has none', () => {
    expect(texts(graduated, '3')[0]).toBe('3 × API (Tier 1 at $0.00 / month)');
  });

  it.each([
    [perUnitPrice('0.05'), '12.5', '12.5 × API (at $0.0005 / month)'],
    [perUnitPrice('1000', { recurring: null }), '2', '2 × API (at $10.00)'],
    [perUnitPrice('500', { currency: 'jpy' }), '2', '2 × API (at ¥500 / month)'],
    [packagePrice('1000', 60n, 'up'), '150', '150 × API (at $10.00 per 60 / month)'],
    [licensedPrice('2500'), '3', '3 × Seat (at $25.00 / month)'],
    [perUnitPrice('100'), '-7', '0 × API (at $1.00 / month)'],
  ])('case %#', (price, quantity, text) => {
    expect(texts(price, quantity)).toEqual([text]);
  });

  it('counts intervals of several units', () => {
    const quarterly = {
      interval: { unit: 'month', count: 3 },
      usageType: 'licensed',
      meterId: null,
    } as const;
    expect(texts(licensedPrice('3000', { recurring: quarterly }), '1')).toEqual([
      '1 × Seat (at $30.00 / every 3 months)',
    ]);
  });

  it('names the day from which the rest of an interval is billed', () => {
    const describeFirst = (price: Price, quantity: string) =>
      rate(price, dec(quantity)).map((part) => describeRemainingTime(price, part, utc('2026-11-05')));
    expect(describeFirst(licensedPrice('100'), '1')).toEqual(['Remaining time on Seat after 05 Nov 2026']);
    expect(describeFirst(licensedPrice('100'), '3')).toEqual([
      'Remaining time on 3 × Seat after 05 Nov 2026',
    ]);
    expect(describeFirst(tieredPrice('volume', [tier(null, '100', '500')]), '3')).toEqual([
      'Remaining time on 3 × API after 05 Nov 2026 (Tier 1 at $1.00 / month)',
      'Remaining time on API after 05 Nov 2026 (Tier 1 at $5.00 / month)',
    ]);
  });

  it('names the period of late usage', () => {
    const period = { start: utc('2026-10-14'), end: utc('2026-11-14') };
    const price = perUnitPrice('1', { unitLabel: 'call' });
    expect(describeLateUsage(price, dec('-2.5'), period)).toBe(
      'Late usage for 14 Oct 2026 – 14 Nov 2026: -2.5 call × API',
    );
  });
});

describe('why a line costs this much', () => {
  it('shows the product, the tier and the rounding', () => {
    const price = tieredPrice('graduated', [tier('1000', '0', '900.5'), tier(null, '3.6')]);
    expect(explainParts(price, dec('1031'))).toEqual([
      '1000 at $0.00 in tier 1 = $0.00',
      'flat fee of $9.005 in tier 1, rounded to $9.01',
      '31 at $0.036 in tier 2 = $1.116, rounded to $1.12',
    ]);
  });

  it('shows how packages are counted', () => {
    expect(explainParts(packagePrice('1000', 60n, 'up'), dec('150'))).toEqual([
      '150 in packages of 60, rounded up, is 3 at $10.00 = $30.00',
    ]);
  });

  it('shows a very small product without losing a digit', () => {
    expect(explainParts(perUnitPrice('0.000000000001'), dec('0.000000000001'))).toEqual([
      `0.000000000001 at $0.00000000000001 = $0.${'0'.repeat(25)}1, rounded to $0.00`,
    ]);
  });
});
