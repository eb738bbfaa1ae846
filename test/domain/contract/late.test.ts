import { describe, expect, it } from 'vitest';
import { type CounterRange, placesTaken, waysOf } from '../../../src/domain/contract/counter.js';
import { type CountedGroup, uncounted } from '../../../src/domain/contract/late.js';
import { parseDecimal, toText, ZERO } from '../../../src/domain/decimal.js';

const range = (from: string, to: string): CounterRange => ({
  from: parseDecimal(from),
  to: parseDecimal(to),
});
const shown = (ranges: readonly CounterRange[]) => ranges.map(({ from, to }) => [toText(from), toText(to)]);

describe('a counter on which others have billed', () => {
  const way = (quantity: string, taken: CounterRange[]) =>
    shown(waysOf(parseDecimal(quantity), placesTaken(taken)));

  it('goes on behind what was billed', () => {
    expect(way('3', [range('0', '8')])).toEqual([['8', '11']]);
    expect(way('3', [range('8', '9.5'), range('0', '8')])).toEqual([['9.5', '12.5']]);
  });

  it('fills the hole that a void has left, then goes on behind the rest', () => {
    expect(way('3', [range('8', '9')])).toEqual([['0', '3']]);
    expect(way('11', [range('8', '9')])).toEqual([
      ['0', '8'],
      ['9', '12'],
    ]);
    expect(way('2', [range('0', '9'), range('11', '12')])).toEqual([['9', '11']]);
    expect(way('4', [range('0', '9'), range('11', '12')])).toEqual([
      ['9', '11'],
      ['12', '14'],
    ]);
  });

  it('goes back from the highest place, and places given back are free', () => {
    expect(way('-2', [range('0', '8')])).toEqual([['8', '6']]);
    expect(way('3', [range('0', '8'), range('8', '6')])).toEqual([['6', '9']]);
    expect(way('1', [range('0', '-5')])).toEqual([['-5', '-4']]);
  });

  it('has one way of no length for no movement', () => {
    expect(way('0', [])).toEqual([['0', '0']]);
  });
});

describe('uncounted usage', () => {
  const period = { start: 0, end: 100 };
  const of = (region: string, start: number, end: number, quantity: string) => ({
    productId: 'p',
    pricingGroupValues: { region },
    presentationGroupValues: {},
    start,
    end,
    quantity: parseDecimal(quantity),
  });
  const group = (region: string, quantities: [number, string][]): CountedGroup => ({
    productId: 'p',
    pricingGroupValues: { region },
    presentationGroupValues: {},
    quantities: quantities.map(([at, quantity]) => ({ at, quantity: parseDecimal(quantity) })),
    ranges: [],
    minimum: ZERO,
  });

  it('is what is known now less what every invoice has counted, by group and cut', () => {
    const now = [
      of('eu', 0, 40, '10'),
      of('eu', 40, 70, '5'),
      of('eu', 70, 100, '1'),
      of('us', 40, 100, '2'),
    ];
    const counted = [
      {
        period,
        isOwn: true,
        cuts: [40],
        groups: [
          group('eu', [
            [0, '8'],
            [40, '6'],
          ]),
        ],
      },
      { period, isOwn: false, cuts: [40], groups: [group('eu', [[0, '2']])] },
    ];
    const left = uncounted(period, [40], now, counted);
    expect(
      left.map(({ pricingGroupValues, start, end, quantity }) => [
        pricingGroupValues['region'],
        start,
        end,
        toText(quantity),
      ]),
    ).toEqual([['us', 40, 100, '2']]);
    expect(
      uncounted(period, [40], [of('eu', 0, 40, '7')], counted).map((one) => toText(one.quantity)),
    ).toEqual(['-3', '-6']);
  });
});
