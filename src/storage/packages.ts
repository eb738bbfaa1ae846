import { notFound } from '../domain/errors.js';
import type { Instant } from '../domain/period.js';
import { resolveAlias, type StoredAlias } from './aliases.js';
import { uniquenessConflict } from './contracts.js';
import { isUniqueViolation, type Queryable, timestamp } from './db.js';
import { fromDocument, toDocument } from './documents.js';
import { Conditions, type Page, type PageCursor, pageSql } from './pages.js';

export interface PackageRecord {
  id: string;
  name: string;
  aliases: StoredAlias[];
  uniquenessKey: string | null;
  /** In the words of the API, with Decimals. */
  terms: unknown;
  createdAt: Instant;
  archivedAt: Instant | null;
}

const COLUMNS = `id, name, aliases, uniqueness_key as "uniquenessKey", terms, created_at as "createdAt",
  archived_at as "archivedAt"`;

const read = (row: PackageRecord): PackageRecord => ({ ...row, terms: fromDocument(row.terms) });

/** Stores a new package. Throws BillingError `conflict` on a uniqueness key that was used before. */
export async function insertPackage(q: Queryable, accountId: string, made: PackageRecord): Promise<void> {
  try {
    await q.query(
      `insert into packages (account_id, id, name, aliases, uniqueness_key, terms, created_at, archived_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [
        accountId,
        made.id,
        made.name,
        JSON.stringify(made.aliases),
        made.uniquenessKey,
        toDocument(made.terms),
        timestamp(made.createdAt),
        timestamp(made.archivedAt),
      ],
    );
  } catch (error) {
    if (isUniqueViolation(error, 'packages_uniqueness')) throw uniquenessConflict(made.uniquenessKey);
    throw error;
  }
}

/** Writes what of a package may change. The caller holds the row. */
export async function updatePackage(
  q: Queryable,
  accountId: string,
  { id, aliases, archivedAt }: Pick<PackageRecord, 'id' | 'aliases' | 'archivedAt'>,
): Promise<void> {
  await q.query('update packages set aliases = $3, archived_at = $4 where account_id = $1 and id = $2', [
    accountId,
    id,
    JSON.stringify(aliases),
    timestamp(archivedAt),
  ]);
}

/** The package, archived or not. */
export async function findPackage(
  q: Queryable,
  accountId: string,
  id: string,
  lock: 'none' | 'update' = 'none',
): Promise<PackageRecord | null> {
  const suffix = lock === 'none' ? '' : ' for update';
  const rows = await q.query<PackageRecord>(
    `select ${COLUMNS} from packages where account_id = $1 and id = $2${suffix}`,
    [accountId, id],
  );
  return rows[0] === undefined ? null : read(rows[0]);
}

/** The packages that have one of the aliases at any time. Their rows are held until the transaction ends. */
export async function lockPackagesByAlias(
  q: Queryable,
  accountId: string,
  aliases: readonly string[],
): Promise<PackageRecord[]> {
  if (aliases.length === 0) return [];
  const rows = await q.query<PackageRecord>(
    `select ${COLUMNS} from packages where account_id = $1 and archived_at is null
       and exists (select from jsonb_array_elements(aliases) alias where alias ->> 'name' = any($2::text[]))
     order by id for update`,
    [accountId, aliases],
  );
  return rows.map(read);
}

/** The package by id, or by the alias it has at the instant. Throws `not_found`; archived ones make no contracts. */
export async function resolvePackage(
  q: Queryable,
  accountId: string,
  name: { id: string } | { alias: string },
  at: Instant,
): Promise<PackageRecord> {
  const id = 'id' in name ? name.id : await resolveAlias(q, 'package', accountId, name.alias, at);
  const found = await findPackage(q, accountId, id);
  if (found === null || found.archivedAt !== null) throw notFound('package', id, 'package_id');
  return found;
}

/** Newest first. */
export async function listPackages(
  q: Queryable,
  accountId: string,
  archived: boolean | null,
  page: Page,
): Promise<PackageRecord[]> {
  const conditions = new Conditions();
  conditions.equal('packages.account_id', accountId);
  if (archived !== null) conditions.where(`packages.archived_at is ${archived ? 'not ' : ''}null`);
  const rows = await q.query<PackageRecord>(
    `select ${COLUMNS} from packages ${pageSql(conditions, page, 'packages')}`,
    conditions.values,
  );
  return rows.map(read);
}

/** A contract that was made from a package. */
export interface PackagedContractRow extends PageCursor {
  /** In Metronome's dialect. */
  customerUuid: string;
  startingAt: Instant;
  endingBefore: Instant | null;
  archivedAt: Instant | null;
}

/** The contracts that were made from a package, newest first. */
export function listContractsOfPackage(
  q: Queryable,
  accountId: string,
  packageId: string,
  filter: { coveringDate: Instant | null; startingAt: Instant | null; includeArchived: boolean },
  page: Page,
): Promise<PackagedContractRow[]> {
  const conditions = new Conditions();
  conditions.equal('contracts.account_id', accountId);
  conditions.equal('contracts.package_id', packageId);
  if (!filter.includeArchived) conditions.where('contracts.archived_at is null');
  if (filter.startingAt !== null) {
    conditions.where(`contracts.starting_at >= ${conditions.value(timestamp(filter.startingAt))}`);
  }
  if (filter.coveringDate !== null) {
    const at = conditions.value(timestamp(filter.coveringDate));
    conditions.where(`contracts.starting_at <= ${at}`);
    conditions.where(`(contracts.ending_before is null or contracts.ending_before > ${at})`);
  }
  return q.query<PackagedContractRow>(
    `select contracts.id, customers.uuid as "customerUuid", contracts.starting_at as "startingAt",
       contracts.ending_before as "endingBefore", contracts.archived_at as "archivedAt",
       contracts.created_at as "createdAt"
     from contracts join customers on customers.account_id = contracts.account_id
       and customers.id = contracts.customer_id
     ${pageSql(conditions, page, 'contracts')}`,
    conditions.values,
  );
}
