import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newId } from '../ids.js';
import { timestamp } from './db.js';
import type { Database, Queryable, Transaction } from './db.js';

export interface ApiKeyRecord {
  readonly accountId: string;
  readonly livemode: boolean;
  readonly keyId: string;
  readonly type: 'secret' | 'restricted' | 'publishable';
}

export interface DefaultAccount {
  readonly accountId: string;
  /** A test-mode secret key that works. Not for logs. */
  readonly apiKey: string;
}

interface ApiKeyRow {
  account_id: string;
  livemode: boolean;
  id: string;
  type: ApiKeyRecord['type'];
}

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** Stripe's own secret keys have about as many characters; 48 of 62 letters hold 285 bits. */
const SECRET_LETTERS = 48;
/** Bytes from here on would make some letters likelier than others. */
const UNBIASED_BYTES = 248;
const FIRST_ACCOUNT_LOCK = 7_283_104_512;

/** The key with this secret, or null when there is none or it was revoked. Only the secret's SHA-256 is compared. */
export async function findApiKey(db: Queryable, secret: string): Promise<ApiKeyRecord | null> {
  const rows = await db.queryNamed<ApiKeyRow>(
    'find_api_key',
    `select account_id, livemode, id, type from api_keys
      where secret_sha256 = $1 and (revoked_at is null or revoked_at > now())`,
    [sha256(secret)],
  );
  const row = rows[0];
  if (row === undefined) return null;
  return { accountId: row.account_id, livemode: row.livemode, keyId: row.id, type: row.type };
}

/**
 * The installation's first account and a test-mode secret key to it. The key is kept in `<dataDir>/api-key` (mode
 * 0600), so it is the same after a restart; a new one is made when that file is missing or its key was revoked.
 */
export async function ensureDefaultAccount(
  db: Database,
  options: { readonly dataDir: string; readonly now?: () => number },
): Promise<DefaultAccount> {
  const now = options.now ?? Date.now;
  mkdirSync(options.dataDir, { recursive: true });
  const file = join(options.dataDir, 'api-key');
  const remembered = readKeyFile(file);
  return db.transaction(async (tx) => {
    // Two engines that start at once on an empty database must agree on one account.
    await tx.query('select pg_advisory_xact_lock($1)', [FIRST_ACCOUNT_LOCK]);
    if (remembered !== null) {
      const known = await findApiKey(tx, remembered);
      if (known !== null) return { accountId: known.accountId, apiKey: remembered };
    }
    const accountId = (await firstAccount(tx)) ?? (await createAccount(tx, 'Default', now()));
    const reusable = remembered !== null && !(await keyExists(tx, remembered));
    const apiKey = reusable ? remembered : newSecretKey();
    await insertSecretKey(tx, accountId, apiKey, now());
    if (!reusable) writeKeyFile(file, apiKey);
    return { accountId, apiKey };
  });
}

/** Adds an account. Returns its id. */
export async function createAccount(tx: Transaction, name: string, now: number): Promise<string> {
  const id = newId('account');
  await tx.query('insert into accounts (id, name, created_at) values ($1, $2, $3)', [
    id,
    name,
    timestamp(now),
  ]);
  return id;
}

/** A new test-mode secret key: `sk_test_` and 48 random base-62 characters. */
export function newSecretKey(): string {
  let letters = '';
  while (letters.length < SECRET_LETTERS) {
    for (const byte of randomBytes(64)) {
      if (byte < UNBIASED_BYTES && letters.length < SECRET_LETTERS) letters += BASE62.charAt(byte % 62);
    }
  }
  return `sk_test_${letters}`;
}

async function firstAccount(tx: Transaction): Promise<string | null> {
  const rows = await tx.query<{ id: string }>('select id from accounts order by created_at, id limit 1');
  return rows[0]?.id ?? null;
}

async function keyExists(tx: Transaction, secret: string): Promise<boolean> {
  const rows = await tx.query('select 1 from api_keys where secret_sha256 = $1', [sha256(secret)]);
  return rows.length > 0;
}

async function insertSecretKey(
  tx: Transaction,
  accountId: string,
  secret: string,
  now: number,
): Promise<void> {
  await tx.query(
    `insert into api_keys (id, account_id, type, livemode, name, secret_sha256, last4, created_at)
     values ($1, $2, 'secret', false, 'default', $3, $4, $5)`,
    [newId('apiKey'), accountId, sha256(secret), secret.slice(-4), timestamp(now)],
  );
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function readKeyFile(file: string): string | null {
  try {
    const text = readFileSync(file, 'utf8').trim();
    return text === '' ? null : text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function writeKeyFile(file: string, secret: string): void {
  writeFileSync(`${file}.new`, `${secret}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
