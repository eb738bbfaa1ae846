import { randomFillSync } from 'node:crypto';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const BODY_LENGTH = 22;
const PAIR = 62 * 62;

/** Prefixes of object ids, as Stripe's clients know them. */
export const ID_PREFIX = {
  account: 'acct_',
  alert: 'alrt_',
  apiKey: 'key_',
  authorization: 'auth_',
  customer: 'cus_',
  event: 'evt_',
  invoice: 'in_',
  invoiceLine: 'il_',
  meter: 'mtr_',
  meterEventAdjustment: 'mtr_event_adj_',
  meterEventSession: 'mtr_event_sess_',
  price: 'price_',
  product: 'prod_',
  request: 'req_',
  subscription: 'sub_',
  subscriptionItem: 'si_',
  testClock: 'clock_',
} as const;

/**
 * A new object id: Stripe's prefix and 22 base-62 characters of a time-ordered 128-bit number (milliseconds, a counter,
 * randomness), so that ids sort by creation. Not a secret. Cheap, since every request takes one.
 */
export function newId(noun: keyof typeof ID_PREFIX): string {
  const now = Date.now();
  if (now > lastMillis) {
    lastMillis = now;
    // Starts anywhere in the lower half, so that two processes seldom count alike.
    counter = randomWord() * 0x8000 + (randomWord() >> 1);
  } else counter += 1;
  limbs[0] = Math.floor(lastMillis / 0x1_0000_0000);
  limbs[1] = Math.floor(lastMillis / 0x1_0000);
  limbs[2] = lastMillis;
  limbs[3] = counter >>> 16;
  limbs[4] = counter;
  limbs[5] = randomWord();
  limbs[6] = randomWord();
  limbs[7] = randomWord();
  return ID_PREFIX[noun] + base62();
}

/** The number, in words of 16 bits, the highest first. */
const limbs = new Uint16Array(8);
let lastMillis = 0;
let counter = 0;

const pool = new Uint16Array(2048);
let poolUsed = pool.length;

function randomWord(): number {
  if (poolUsed === pool.length) {
    randomFillSync(pool);
    poolUsed = 0;
  }
  poolUsed += 1;
  return pool[poolUsed - 1] as number;
}

/** Consumes the number, two digits a division. */
function base62(): string {
  let text = '';
  for (let position = 0; position < BODY_LENGTH; position += 2) {
    let remainder = 0;
    for (let index = 0; index < limbs.length; index += 1) {
      const value = remainder * 0x1_0000 + (limbs[index] as number);
      limbs[index] = Math.floor(value / PAIR);
      remainder = value % PAIR;
    }
    text = BASE62.charAt(Math.floor(remainder / 62)) + BASE62.charAt(remainder % 62) + text;
  }
  return text;
}
