import { v5 as uuidv5 } from 'uuid';
import type { PricingUnit } from '../domain/contract/terms.js';
import type { Instant } from '../domain/period.js';
import { type Queryable, timestamp } from './db.js';

/** docs.metronome.com: the id of "USD (cents)". */
export const USD_CREDIT_TYPE_ID = '2714e483-4ff1-48e4-9e25-ac732e8f24f2';

/** Of our own making: Metronome publishes the id of USD only. */
const CURRENCY_NAMESPACE = '6e2bb9a2-1d0f-4c8e-9d64-5b0f3c1a7e55';

const OTHER_CURRENCIES =
  'AUD BRL CAD CHF CZK EUR GBP INR MXN NGN NOK PLN SEK TRY ZAR NZD SGD DKK CNY JPY KRW HKD AED'.split(' ');
const WITHOUT_CENTS = ['JPY', 'KRW'];

/** USD is kept in cents, every other currency in whole units. */
const CURRENCIES: readonly PricingUnit[] = [
  { id: USD_CREDIT_TYPE_ID, name: 'USD (cents)', isCurrency: true, places: 0 },
  ...OTHER_CURRENCIES.map((code) => ({
    id: uuidv5(code, CURRENCY_NAMESPACE),
    name: code,
    isCurrency: true,
    places: WITHOUT_CENTS.includes(code) ? 0 : 2,
  })),
];

/** Custom pricing units are kept to a hundredth where something is rounded. */
const CUSTOM_PLACES = 2;

/** Every pricing unit of the account by id, currencies first, then its own in the order they were made. */
export async function loadPricingUnits(q: Queryable, accountId: string): Promise<Map<string, PricingUnit>> {
  const own = await q.queryNamed<{ id: string; name: string }>(
    'load_pricing_units',
    'select id, name from pricing_units where account_id = $1 order by created_at, id',
    [accountId],
  );
  return new Map([
    ...CURRENCIES.map((unit) => [unit.id, unit] as const),
    ...own.map(({ id, name }) => [id, { id, name, isCurrency: false, places: CUSTOM_PLACES }] as const),
  ]);
}

/** Makes a custom pricing unit. False when the account has one of that name. */
export async function insertPricingUnit(
  q: Queryable,
  accountId: string,
  unit: { id: string; name: string; createdAt: Instant },
): Promise<boolean> {
  const rows = await q.query<{ id: string }>(
    `insert into pricing_units (account_id, id, name, created_at) values ($1, $2, $3, $4)
     on conflict do nothing returning id`,
    [accountId, unit.id, unit.name, timestamp(unit.createdAt)],
  );
  return rows.length > 0;
}
