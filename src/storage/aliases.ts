import { aliasHolder } from '../domain/contract/aliases.js';
import { notFound } from '../domain/errors.js';
import type { Instant } from '../domain/period.js';
import type { Queryable } from './db.js';

/** A name of a rate card or a package, for a while; null is open. */
export interface StoredAlias {
  name: string;
  startingAt: Instant | null;
  endingBefore: Instant | null;
  /** Of two with the same alias at the same time, the one that got it last has it. */
  assignedAt: Instant;
}

const HOLDERS = {
  'rate card': { table: 'rate_cards', param: 'rate_card_alias' },
  package: { table: 'packages', param: 'package_alias' },
} as const;

/** The id of what has the alias at the instant and is not archived. Throws `not_found`. */
export async function resolveAlias(
  q: Queryable,
  kind: keyof typeof HOLDERS,
  accountId: string,
  alias: string,
  at: Instant,
): Promise<string> {
  const { table, param } = HOLDERS[kind];
  const rows = await q.query<{ id: string; aliases: StoredAlias[] }>(
    `select id, aliases from ${table}
     where account_id = $1 and archived_at is null and aliases @> jsonb_build_array(jsonb_build_object('name', $2::text))
     order by created_at, id`,
    [accountId, alias],
  );
  const assignments = rows
    .flatMap(({ id, aliases }) => aliases.map((assigned) => ({ ...assigned, holderId: id })))
    .sort((a, b) => a.assignedAt - b.assignedAt);
  const id = aliasHolder(assignments, alias, at);
  if (id === null) throw notFound(`${kind} alias`, alias, param);
  return id;
}
