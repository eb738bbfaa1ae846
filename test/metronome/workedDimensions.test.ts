import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestEngine } from '../support/engine.js';
import { contractAt, rateCard, send, startWorld, sumProduct, usageDrafts } from './world.js';

let engine: TestEngine;

beforeAll(async () => {
  ({ engine } = await startWorld());
});
afterAll(() => engine.stop());

const START = '2024-10-01T00:00:00Z';
const NOW = '2024-10-15T00:00:00Z';

/** Quantities and amounts of the only draft, by the values that its lines name. */
async function shown(customerId: string, keys: string[]) {
  const [draft] = await usageDrafts(engine, customerId);
  const lines = draft?.line_items.map(({ name, quantity, total, pricing_group_values: values }) => ({
    key: [name, ...keys.map((key) => values?.[key])].join(' '),
    quantity,
    total,
  }));
  return {
    total: draft?.total,
    lines: new Map(lines?.map(({ key, ...rest }) => [key, rest])),
    count: lines?.length,
  };
}

describe('worked examples of dimensions', () => {
  it('6.10c: two products, two regions, two clouds: eight rates', async () => {
    const { metronome } = engine;
    const pricing = ['region', 'cloud'];
    const p1 = await sumProduct(metronome, 'P1', { pricing });
    const p2 = await sumProduct(metronome, 'P2', { pricing });
    const where = [
      ['R1', 'AWS'],
      ['R1', 'Azure'],
      ['R2', 'AWS'],
      ['R2', 'Azure'],
    ] as const;
    const rates = ({ productId }: typeof p1, prices: number[]) =>
      where.map(([region, cloud], index) => ({
        product_id: productId,
        rate_type: 'FLAT' as const,
        price: prices[index] ?? 0,
        pricing_group_values: { region, cloud },
      }));
    const card = await rateCard(metronome, [...rates(p1, [12, 14, 16, 18]), ...rates(p2, [18, 22, 20, 24])]);
    const customer = await contractAt(engine, NOW, { starting_at: START, rate_card_id: card });
    const hours = (sold: typeof p1, amounts: string[]) =>
      send(
        engine,
        customer.id,
        sold.eventType,
        where.map(([region, cloud], index) => ({
          at: '2024-10-10T05:00:00Z',
          properties: { amount: amounts[index] ?? '', region, cloud },
        })),
      );
    await hours(p1, ['1', '2', '3', '4.5']);
    await hours(p2, ['10', '20', '30', '40']);
    const { total, lines, count } = await shown(customer.id, pricing);
    expect(count).toBe(8);
    expect(lines).toEqual(
      new Map([
        ['P1 R1 AWS', { quantity: 1, total: 12 }],
        ['P1 R1 Azure', { quantity: 2, total: 28 }],
        ['P1 R2 AWS', { quantity: 3, total: 48 }],
        ['P1 R2 Azure', { quantity: 4.5, total: 81 }],
        ['P2 R1 AWS', { quantity: 10, total: 180 }],
        ['P2 R1 Azure', { quantity: 20, total: 440 }],
        ['P2 R2 AWS', { quantity: 30, total: 600 }],
        ['P2 R2 Azure', { quantity: 40, total: 960 }],
      ]),
    );
    expect(total).toBe(12 + 28 + 48 + 81 + 180 + 440 + 600 + 960);
  });

  it('6.10c: a card of 216 rates prices each combination by its own', async () => {
    const { metronome } = engine;
    const pricing = ['cloud', 'zone', 'class', 'zones'];
    const combinations = ['aws', 'azure', 'gcp'].flatMap((cloud) =>
      ['z1', 'z2', 'z3', 'z4'].flatMap((zone) =>
        ['small', 'medium', 'large'].flatMap((size) =>
          ['1', '3'].map((zones) => ({ cloud, zone, class: size, zones })),
        ),
      ),
    );
    const products = await Promise.all(
      ['Compute', 'Network', 'Backup'].map((name) => sumProduct(metronome, name, { pricing })),
    );
    // The n-th rate costs n cents, and is used n % 7 + 1 times.
    const price = (product: number, index: number) => product * combinations.length + index + 1;
    const card = await rateCard(
      metronome,
      products.flatMap(({ productId }, product) =>
        combinations.map((values, index) => ({
          product_id: productId,
          rate_type: 'FLAT' as const,
          price: price(product, index),
          pricing_group_values: values,
        })),
      ),
    );
    const listed = [];
    for await (const rate of metronome.v1.contracts.rateCards.rates.list({ rate_card_id: card, at: NOW })) {
      listed.push(rate);
    }
    expect(listed).toHaveLength(3 * 4 * 3 * 2 * 3);
    const customer = await contractAt(engine, NOW, { starting_at: START, rate_card_id: card });
    const expected = new Map<string, { quantity: number; total: number }>();
    for (const [product, sold] of products.entries()) {
      const name = ['Compute', 'Network', 'Backup'][product] ?? '';
      await send(
        engine,
        customer.id,
        sold.eventType,
        combinations.map((values, index) => {
          const cents = price(product, index);
          const quantity = (cents % 7) + 1;
          expected.set([name, ...Object.values(values)].join(' '), { quantity, total: quantity * cents });
          return { at: '2024-10-10T05:00:00Z', properties: { ...values, amount: String(quantity) } };
        }),
      );
    }
    const { total, lines, count } = await shown(customer.id, pricing);
    expect(count).toBe(216);
    expect(lines).toEqual(expected);
    expect(total).toBe([...expected.values()].reduce((sum, line) => sum + line.total, 0));
  });
});
