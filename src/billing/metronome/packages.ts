import { v7 as uuidv7 } from 'uuid';
import { aliasWithout } from '../../domain/contract/aliases.js';
import { notFound } from '../../domain/errors.js';
import type { Queryable } from '../../storage/db.js';
import {
  findPackage,
  insertPackage,
  lockPackagesByAlias,
  type PackageRecord,
  updatePackage,
} from '../../storage/packages.js';
import type { ChangeContext } from '../catalogue.js';
import { type AliasInput, aliasesWith } from './aliases.js';

export interface NewPackage {
  name: string;
  aliases: readonly AliasInput[];
  uniquenessKey: string | null;
  /** As the dialect reads them; checked already. */
  terms: unknown;
}

/** Throws `not_found`. */
export async function requirePackage(
  q: Queryable,
  accountId: string,
  id: string,
  lock: 'none' | 'update' = 'none',
): Promise<PackageRecord> {
  const found = await findPackage(q, accountId, id, lock);
  if (found === null) throw notFound('package', id, 'package_id');
  return found;
}

/**
 * Makes a package. The times of its aliases are taken from other packages that have them
 * (docs.metronome.com/api-reference, "create a package"). Throws `conflict` on a uniqueness key that was used before.
 */
export async function createPackage(ctx: ChangeContext, input: NewPackage): Promise<PackageRecord> {
  const { tx, accountId } = ctx;
  const at = ctx.core.now();
  const aliases = aliasesWith([], input.aliases, at);
  const names = [...new Set(aliases.map(({ name }) => name))];
  for (const other of await lockPackagesByAlias(tx, accountId, names)) {
    const left = aliases.reduce(
      (known, taken) => known.flatMap((alias) => aliasWithout(alias, taken)),
      other.aliases,
    );
    await updatePackage(tx, accountId, { ...other, aliases: left });
  }
  const made: PackageRecord = {
    id: uuidv7(),
    name: input.name,
    aliases,
    uniquenessKey: input.uniquenessKey,
    terms: input.terms,
    createdAt: at,
    archivedAt: null,
  };
  await insertPackage(tx, accountId, made);
  return made;
}

/** An archived package makes no new contracts; those that were made from it go on. */
export async function archivePackage(ctx: ChangeContext, id: string): Promise<void> {
  const found = await requirePackage(ctx.tx, ctx.accountId, id, 'update');
  if (found.archivedAt !== null) return;
  await updatePackage(ctx.tx, ctx.accountId, { ...found, archivedAt: ctx.core.now() });
}
