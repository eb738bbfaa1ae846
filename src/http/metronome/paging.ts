import { invalid } from '../../domain/errors.js';
import type { JsonObject, JsonValue } from '../../json.js';
import type { Page, PageCursor } from '../../storage/pages.js';
import { integer, queryInteger, text } from './params.js';

/**
 * Lists answer `{data, next_page}`; the cursor is opaque and null at the end (docs.metronome.com/api-reference,
 * "pagination"). Spread one of these into the endpoint's `query`, or the last into its `body`.
 */
export const cursorPage = {
  limit: queryInteger({ min: 1, max: 100 }).optional(),
  next_page: text({ min: 0 }).optional(),
};
export const cursorPageWithoutLimit = { next_page: text({ min: 0 }).optional() };
export const bodyCursorPage = {
  limit: integer({ min: 1, max: 25 }).optional(),
  next_page: text({ min: 0 }).nullable().optional(),
};

export const LIMIT_DEFAULT = 100;
export const BODY_LIMIT_DEFAULT = 25;

export interface PageParams {
  limit?: number | undefined;
  next_page?: string | null | undefined;
  /** What a few calls name `next_page` in requests. */
  cursor?: string | null | undefined;
}

/** The texts of a cursor made by `page`; null on the first page. `parts` is how many there must be. */
export function readCursor(params: PageParams, parts: number): string[] | null {
  const cursor = params.next_page ?? params.cursor;
  const name = params.cursor == null ? 'next_page' : 'cursor';
  if (cursor === undefined || cursor === null || cursor === '') return null;
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    throw badCursor(name);
  }
  if (!Array.isArray(value) || value.length !== parts || !value.every((part) => typeof part === 'string')) {
    throw badCursor(name);
  }
  return value;
}

/**
 * One page: of `rows` (one more than the limit were asked for) the first `limit`, rendered, and the cursor after the
 * last of them, made of the texts of `keyOf`.
 */
export function page<T>(
  rows: readonly T[],
  limit: number,
  keyOf: (row: T) => readonly string[],
  render: (row: T) => JsonValue,
): JsonObject {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const next = rows.length > limit && last !== undefined ? cursorText(keyOf(last)) : null;
  return { data: shown.map(render), next_page: next };
}

/** A page of a list that is in memory; `keyOf` is unique within it. A cursor whose row is gone begins again. */
export function pageOf<T>(
  all: readonly T[],
  params: PageParams,
  keyOf: (row: T) => string,
  render: (row: T) => JsonValue,
  limitDefault = LIMIT_DEFAULT,
): JsonObject {
  const cursor = readCursor(params, 1);
  const limit = params.limit ?? limitDefault;
  const from = cursor === null ? 0 : all.findIndex((row) => keyOf(row) === cursor[0]) + 1;
  return page(all.slice(from, from + limit + 1), limit, (row) => [keyOf(row)], render);
}

/** The page for a storage function that lists by (created_at, id): one row more than is shown. */
export function storagePage(params: PageParams, limitDefault = LIMIT_DEFAULT): Page {
  const parts = readCursor(params, 2);
  return {
    limit: (params.limit ?? limitDefault) + 1,
    cursor: parts === null ? null : createdCursor(parts),
    direction: 'forward',
  };
}

/** Answers what `storagePage` asked for. */
export function storagePageAnswer<T extends PageCursor>(
  rows: readonly T[],
  params: PageParams,
  render: (row: T) => JsonValue,
  limitDefault = LIMIT_DEFAULT,
): JsonObject {
  return page(rows, params.limit ?? limitDefault, (row) => [String(row.createdAt), row.id], render);
}

function createdCursor([createdAt = '', id = '']: readonly string[]): PageCursor {
  if (!/^-?\d{1,15}$/.test(createdAt)) throw badCursor();
  return { createdAt: Number(createdAt), id };
}

/** A cursor that `readCursor` reads. */
export function cursorText(parts: readonly string[]): string {
  return Buffer.from(JSON.stringify(parts), 'utf8').toString('base64url');
}

function badCursor(name = 'next_page'): Error {
  return invalid(`Invalid '${name}': is no cursor of this list.`);
}
