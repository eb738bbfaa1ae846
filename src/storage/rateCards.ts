import { LRUCache } from 'lru-cache';
import type { RateCard } from '../domain/contract/terms.js';
import { parseDecimal } from '../domain/decimal.js';
import { notFound } from '../domain/errors.js';
import type { Instant } from '../domain/period.js';
import { resolveAlias, type StoredAlias } from './aliases.js';
import { requestChecksOfRateCard } from './customerChecks.js';
import { type Queryable, timestamp } from './db.js';
import { Conditions, type Page, pageSql } from './pages.js';
import { loadRates } from './rates.js';

export interface RateCardRecord {
  id: string;
  name: string;
  description: string | null;
  fiatCreditTypeId: string;
  /** Fiat in its stored unit for one custom pricing unit, as decimal text. */
  conversions: { creditTypeId: string; fiatPerUnit: string }[];
  aliases: StoredAlias[];
  customFields: Record<string, string>;
  createdAt: Instant;
  archivedAt: Instant | null;
}

const COLUMNS = `id, name, description, fiat_credit_type_id as "fiatCreditTypeId", conversions, aliases,
  custom_fields as "customFields", created_at as "createdAt", archived_at as "archivedAt"`;

const CACHED_CARDS_MAX = 200;
/** Cards by account and id. A revision is never used twice, not even by a transaction that rolled back. */
const cache = new LRUCache<string, { revision: string; card: RateCard }>({ max: CACHED_CARDS_MAX });

/**
 * The card with all its rates; null when there's none. Unchanged cards come from memory as the same object, so that
 * ten thousand rates are parsed once, and what is derived from them can be kept by it.
 */
export async function loadRateCard(q: Queryable, accountId: string, id: string): Promise<RateCard | null> {
  const rows = await q.queryNamed<RateCardRecord & { revision: string }>(
    'load_rate_card',
    `select ${COLUMNS}, revision from rate_cards where account_id = $1 and id = $2`,
    [accountId, id],
  );
  const row = rows[0];
  if (row === undefined) return null;
  const key = `${accountId}/${id}`;
  const known = cache.get(key);
  if (known?.revision === row.revision) return known.card;
  const card: RateCard = {
    id,
    fiatCreditTypeId: row.fiatCreditTypeId,
    fiatPerUnit: new Map(
      row.conversions.map(
        ({ creditTypeId, fiatPerUnit }) => [creditTypeId, parseDecimal(fiatPerUnit)] as const,
      ),
    ),
    rates: await loadRates(q, accountId, id),
  };
  cache.set(key, { revision: row.revision, card });
  return card;
}

/** The card by id, or by the alias it has at the instant. Throws `not_found`; archived cards take no contracts. */
export async function resolveRateCard(
  q: Queryable,
  accountId: string,
  name: { id: string } | { alias: string },
  at: Instant,
): Promise<RateCardRecord> {
  const id = 'id' in name ? name.id : await resolveAlias(q, 'rate card', accountId, name.alias, at);
  const card = await findRateCard(q, accountId, id);
  if (card === null || card.archivedAt !== null) throw notFound('rate card', id, 'rate_card_id');
  return card;
}

export async function findRateCard(
  q: Queryable,
  accountId: string,
  id: string,
  lock: 'none' | 'update' = 'none',
): Promise<RateCardRecord | null> {
  const suffix = lock === 'none' ? '' : ' for update';
  const rows = await q.query<RateCardRecord>(
    `select ${COLUMNS} from rate_cards where account_id = $1 and id = $2${suffix}`,
    [accountId, id],
  );
  return rows[0] ?? null;
}

/** Cards that were not archived, newest first. */
export function listRateCards(q: Queryable, accountId: string, page: Page): Promise<RateCardRecord[]> {
  const conditions = new Conditions();
  conditions.equal('account_id', accountId);
  conditions.where('archived_at is null');
  const end = pageSql(conditions, page, 'rate_cards');
  return q.query<RateCardRecord>(`select ${COLUMNS} from rate_cards ${end}`, conditions.values);
}

/** Makes the card, or writes everything that can change of it. The caller holds the lock of one that exists. */
export async function saveRateCard(q: Queryable, accountId: string, card: RateCardRecord): Promise<void> {
  await q.query(
    `insert into rate_cards (account_id, id, name, description, fiat_credit_type_id, conversions, aliases,
       custom_fields, created_at, archived_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
     on conflict (account_id, id) do update set name = excluded.name, description = excluded.description,
       conversions = excluded.conversions, aliases = excluded.aliases, archived_at = excluded.archived_at,
       revision = gen_random_uuid()`,
    [
      accountId,
      card.id,
      card.name,
      card.description,
      card.fiatCreditTypeId,
      JSON.stringify(card.conversions),
      JSON.stringify(card.aliases),
      JSON.stringify(card.customFields),
      timestamp(card.createdAt),
      timestamp(card.archivedAt),
    ],
  );
}

/** Says that rates of the card changed. */
export async function touchRateCard(q: Queryable, accountId: string, id: string): Promise<void> {
  await q.query('update rate_cards set revision = gen_random_uuid() where account_id = $1 and id = $2', [
    accountId,
    id,
  ]);
  await requestChecksOfRateCard(q, accountId, id);
}
