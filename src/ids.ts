import { v7 as uuidv7, parse } from 'uuid';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const BODY_LENGTH = 22;

/** Prefixes of object ids, as Stripe's clients know them. */
export const ID_PREFIX = {
  account: 'acct_',
  alert: 'alrt_',
  apiKey: 'key_',
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
 * A new object id: Stripe's prefix and 22 base-62 characters of a time-ordered UUID, so that ids sort by creation.
 * Not a secret.
 */
export function newId(noun: keyof typeof ID_PREFIX): string {
  return ID_PREFIX[noun] + base62(parse(uuidv7()));
}

function base62(bytes: Uint8Array): string {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  let text = '';
  for (let position = 0; position < BODY_LENGTH; position += 1) {
    text = BASE62.charAt(Number(value % 62n)) + text;
    value /= 62n;
  }
  return text;
}
