import { BillingError, notFound } from '../../domain/errors.js';
import type { Queryable } from '../../storage/db.js';
import { findContractsOf } from '../../storage/contracts.js';
import { findCustomer } from '../../storage/customers.js';
import {
  findCustomerByAnyId,
  findTakenAliases,
  type MetronomeCustomer,
  replaceAliases,
  updateMetronomeCustomer,
} from '../../storage/ingestAliases.js';
import type { ChangeContext } from '../catalogue.js';
import { customerNow } from '../clock.js';
import { archiveContract } from '../contracts/changes.js';
import { lockForChange } from '../contracts/create.js';
import { changeCustomer, createCustomer } from '../customers.js';
import { checkCustomFields } from './customFields.js';

const NAME_LENGTH_MAX = 160;

export interface NewMetronomeCustomer {
  name: string;
  aliases: readonly string[];
  customFields: Record<string, string>;
}

/** The customer under any of its names, archived or not. Throws `not_found`. */
export async function requireCustomerByAnyId(
  q: Queryable,
  accountId: string,
  idOrAlias: string,
): Promise<MetronomeCustomer> {
  const customer = await findCustomerByAnyId(q, accountId, idOrAlias);
  if (customer === null) throw notFound('customer', idOrAlias, 'customer_id');
  return customer;
}

/**
 * Makes a customer of both dialects. Names are cut at 160 characters; an alias that another customer has is a
 * `conflict` (docs.metronome.com/api-reference, "create a customer").
 */
export async function createMetronomeCustomer(
  ctx: ChangeContext,
  input: NewMetronomeCustomer,
): Promise<MetronomeCustomer> {
  const { id } = await createCustomer(ctx, { name: cut(input.name), details: {} }, null);
  await checkCustomFields(ctx.tx, ctx.accountId, 'customer', input.customFields);
  await giveAliases(ctx, id, input.aliases);
  const customer = await requireCustomerByAnyId(ctx.tx, ctx.accountId, id);
  const made: MetronomeCustomer = { ...customer, customFields: input.customFields, madeBy: 'metronome' };
  await updateMetronomeCustomer(ctx.tx, ctx.accountId, made);
  return made;
}

/** Gives the customer exactly these aliases; the ids of both dialects work besides. Past usage follows. */
export async function setIngestAliases(
  ctx: ChangeContext,
  idOrAlias: string,
  aliases: readonly string[],
): Promise<void> {
  await changeLocked(ctx, idOrAlias, async (customer) => {
    await giveAliases(ctx, customer.id, aliases);
    return customer;
  });
}

/** Renames it in both dialects. */
export async function setCustomerName(
  ctx: ChangeContext,
  idOrAlias: string,
  name: string,
): Promise<MetronomeCustomer> {
  return changeLocked(ctx, idOrAlias, async (customer) => {
    await changeCustomer(ctx, customer.id, { name: cut(name), details: {} });
    return { ...customer, name: cut(name) };
  });
}

export async function updateCustomerConfig(
  ctx: ChangeContext,
  idOrAlias: string,
  salesforceAccountId: string | null | undefined,
): Promise<void> {
  await changeLocked(ctx, idOrAlias, (customer) =>
    Promise.resolve(salesforceAccountId === undefined ? customer : { ...customer, salesforceAccountId }),
  );
}

/**
 * Archives it for good with its contracts, whose invoices are voided; its aliases stay taken. Archiving it again
 * changes nothing (docs.metronome.com/api-reference, "archive a customer").
 */
export async function archiveCustomer(ctx: ChangeContext, idOrAlias: string): Promise<MetronomeCustomer> {
  const { tx, core, accountId } = ctx;
  const customer = await requireCustomerByAnyId(tx, accountId, idOrAlias);
  if (customer.archivedAt !== null) return customer;
  const change = await lockForChange(tx, core, accountId, customer.id);
  for (const contract of await findContractsOf(tx, accountId, customer.id)) {
    if (contract.archivedAt === null) await archiveContract(change, contract.id, true);
  }
  return changeLocked(ctx, idOrAlias, (locked) => Promise.resolve({ ...locked, archivedAt: change.now }));
}

async function changeLocked(
  ctx: ChangeContext,
  idOrAlias: string,
  change: (customer: MetronomeCustomer) => Promise<MetronomeCustomer>,
): Promise<MetronomeCustomer> {
  const { id } = await requireCustomerByAnyId(ctx.tx, ctx.accountId, idOrAlias);
  await findCustomer(ctx.tx, ctx.accountId, id, 'update');
  const customer = await requireCustomerByAnyId(ctx.tx, ctx.accountId, id);
  const changed = await change(customer);
  const updatedAt = await customerNow(ctx.tx, ctx.core, ctx.accountId, customer);
  await updateMetronomeCustomer(ctx.tx, ctx.accountId, { ...changed, updatedAt });
  return requireCustomerByAnyId(ctx.tx, ctx.accountId, id);
}

/** The customer's own ids need no row: they are left out. */
async function giveAliases(ctx: ChangeContext, id: string, given: readonly string[]): Promise<void> {
  const { tx, accountId } = ctx;
  const customer = await requireCustomerByAnyId(tx, accountId, id);
  const aliases = [...new Set(given)].filter(
    (alias) => alias !== id && alias.toLowerCase() !== customer.uuid,
  );
  const taken = await findTakenAliases(tx, accountId, id, aliases);
  if (taken.length === 0) taken.push(...(await replaceAliases(tx, accountId, id, aliases)));
  if (taken.length > 0) {
    const names = taken.map((alias) => `'${alias}'`).join(', ');
    throw new BillingError('conflict', `Ingest alias ${names} is already in use by another customer.`);
  }
}

function cut(name: string): string {
  return Array.from(name).slice(0, NAME_LENGTH_MAX).join('');
}
