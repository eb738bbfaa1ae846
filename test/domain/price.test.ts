import { describe, expect, it } from 'vitest';
import { type Price, type PriceTerms, validatePrice } from '../../src/domain/price.js';
import { dec, licensedPrice, packagePrice, perUnitPrice, tier, tieredPrice } from './builders.js';

const problems = (price: PriceTerms) => validatePrice(price).map(({ code, param }) => `${param}: ${code}`);
const open = tier(null, '600');

describe('prices that can be billed', () => {
  it.each<[string, Price]>([
    ['per unit', perUnitPrice('0.000000000001')],
    ['free', perUnitPrice('0')],
    ['licensed', licensedPrice('1000')],
    ['one-time', perUnitPrice('5', { recurring: null })],
    ['package', packagePrice('1000', 1n, 'down')],
    ['graduated', tieredPrice('graduated', [tier('5', '700'), tier('10', '650', '0'), open])],
    ['volume with a flat-only tier', tieredPrice('volume', [tier('5', null, '900'), open])],
    ['a single open tier', tieredPrice('graduated', [open])],
    ['three years', licensedPrice('1', { recurring: recurring(36, 'month') })],
  ])('%s', (_name, price) => {
    expect(problems(price)).toEqual([]);
  });
});

function recurring(count: number, unit: 'day' | 'week' | 'month' | 'year'): Price['recurring'] {
  return { interval: { unit, count }, usageType: 'licensed', meterId: null };
}

describe('prices that are refused, with the parameter at fault', () => {
  const tiers = (...list: Price['tiers'] & object) => tieredPrice('graduated', [...list]);

  it.each<[string, PriceTerms, string[]]>([
    ['no amount', perUnitPrice('0', { unitAmount: null }), ['unit_amount: parameter_missing']],
    ['a negative amount', perUnitPrice('-1'), ['unit_amount: parameter_invalid']],
    ['13 decimals', perUnitPrice('0.0000000000001'), ['unit_amount_decimal: parameter_invalid']],
    ['no tiers', tiers(), ['tiers: parameter_missing']],
    ['tiers null', tieredPrice('volume', [], { tiers: null }), ['tiers: parameter_missing']],
    ['no mode', tieredPrice('volume', [open], { tiersMode: null }), ['tiers_mode: parameter_missing']],
    ['no open end', tiers(tier('5', '1'), tier('9', '1')), ['tiers[1][up_to]: parameter_invalid']],
    ['an open middle', tiers(tier(null, '1'), open), ['tiers[0][up_to]: parameter_invalid']],
    ['out of order', tiers(tier('9', '1'), tier('5', '1'), open), ['tiers[1][up_to]: parameter_invalid']],
    ['equal ends', tiers(tier('5', '1'), tier('5', '1'), open), ['tiers[1][up_to]: parameter_invalid']],
    ['an empty first tier', tiers(tier('0', '1'), open), ['tiers[0][up_to]: parameter_invalid']],
    ['an empty tier', tiers(tier('5', null), open), ['tiers[0][unit_amount]: parameter_missing']],
    [
      'a negative tier',
      tiers(tier('5', '-1', '-0.5'), open),
      ['tiers[0][unit_amount]: parameter_invalid', 'tiers[0][flat_amount_decimal]: parameter_invalid'],
    ],
    [
      '13 decimals in a tier',
      tiers(tier(null, '1', '1.0000000000001')),
      ['tiers[0][flat_amount_decimal]: parameter_invalid'],
    ],
    [
      'tiers and an amount',
      tieredPrice('volume', [open], { unitAmount: dec('1') }),
      ['unit_amount: parameters_exclusive'],
    ],
    ['per unit with tiers', perUnitPrice('1', { tiers: [open] }), ['tiers: parameters_exclusive']],
    [
      'per unit with a mode',
      perUnitPrice('1', { tiersMode: 'volume' }),
      ['tiers_mode: parameters_exclusive'],
    ],
    [
      'packages of tiers',
      tieredPrice('volume', [open], { transformQuantity: { divideBy: 5n, round: 'up' } }),
      ['transform_quantity: parameters_exclusive'],
    ],
    [
      'packages of nothing',
      packagePrice('1', 0n, 'up'),
      ['transform_quantity[divide_by]: parameter_invalid_integer'],
    ],
    [
      'no interval',
      licensedPrice('1', { recurring: recurring(0, 'month') }),
      ['recurring[interval_count]: parameter_invalid_integer'],
    ],
    [
      'four years',
      licensedPrice('1', { recurring: recurring(4, 'year') }),
      ['recurring[interval_count]: parameter_invalid_integer'],
    ],
    [
      '157 weeks',
      licensedPrice('1', { recurring: recurring(157, 'week') }),
      ['recurring[interval_count]: parameter_invalid_integer'],
    ],
    [
      'metered without a meter',
      perUnitPrice('1', {
        recurring: { interval: { unit: 'month', count: 1 }, usageType: 'metered', meterId: null },
      }),
      ['recurring[meter]: parameter_missing'],
    ],
    [
      'licensed with a meter',
      perUnitPrice('1', {
        recurring: { interval: { unit: 'month', count: 1 }, usageType: 'licensed', meterId: 'mtr_1' },
      }),
      ['recurring[meter]: parameters_exclusive'],
    ],
  ])('%s', (_name, price, expected) => {
    expect(problems(price)).toEqual(expected);
  });

  it('finds every problem at once and says what is wrong in a sentence', () => {
    const found = validatePrice(
      tieredPrice('graduated', [tier('9', '-1'), tier('5', '1')], { tiersMode: null }),
    );
    expect(found.map(({ param }) => param)).toEqual([
      'tiers_mode',
      'tiers[0][unit_amount]',
      'tiers[1][up_to]',
    ]);
    for (const { message } of found) expect(message).toMatch(/^[A-Z`].*\.$/);
  });
});
