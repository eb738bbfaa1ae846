import { v5 as uuidv5, v7 as uuidv7 } from 'uuid';

const NAMESPACE = '6f0c8a3e-0a52-5b0e-9a51-7c6c1d2b4f10';

/** The id that a thing has at every computation: of the account and a key that never changes. */
export function stableId(accountId: string, key: string): string {
  return uuidv5(`${accountId}/${key}`, NAMESPACE);
}

/** A new id of something that is stored. Ids grow: what was made at one instant is listed in the order of creation. */
export function newUuid(): string {
  return uuidv7();
}

/** The id of a usage invoice from its draft on; a statement is known by its start, since its end may be moved. */
export function usageInvoiceId(accountId: string, contractId: string, periodStart: number): string {
  return stableId(accountId, `usage/${contractId}/${periodStart}`);
}
