import type { Queryable } from './db.js';

/** What an account has chosen; every field has a default, so a new account has no rows to write. */
export interface AccountSettings {
  /** Usage that arrives after finalization: billed as a difference on the next invoice, or dropped as Stripe does. */
  lateUsage: 'bill' | 'drop';
  /** How long a cycle invoice stays a draft, in seconds. */
  invoiceGraceSeconds: number;
  /** How long a contract's usage statement stays a draft after its end, in seconds. */
  contractGraceSeconds: number;
  /** Lifts Stripe's limits on advances, customers and subscriptions of a test clock. */
  unlimitedTestClocks: boolean;
}

export const DEFAULT_SETTINGS: AccountSettings = {
  lateUsage: 'bill',
  invoiceGraceSeconds: 3600,
  contractGraceSeconds: 86_400,
  unlimitedTestClocks: false,
};

export async function readSettings(q: Queryable, accountId: string): Promise<AccountSettings> {
  const rows = await q.queryNamed<{ settings: Partial<AccountSettings> }>(
    'settings_of_account',
    'select settings from accounts where id = $1',
    [accountId],
  );
  return { ...DEFAULT_SETTINGS, ...rows[0]?.settings };
}

/** Changes the settings named and leaves the others. */
export async function writeSettings(
  q: Queryable,
  accountId: string,
  change: Partial<AccountSettings>,
): Promise<AccountSettings> {
  const rows = await q.query<{ settings: Partial<AccountSettings> }>(
    'update accounts set settings = settings || $2::jsonb where id = $1 returning settings',
    [accountId, JSON.stringify(change)],
  );
  return { ...DEFAULT_SETTINGS, ...rows[0]?.settings };
}
