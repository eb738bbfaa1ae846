import { notFound } from '../domain/errors.js';
import type { JsonObject } from '../json.js';
import type { Page, PageCursor } from '../storage/pages.js';

/** What `listParams` yields besides the filters. */
export interface ListCursorParams {
  limit: number;
  starting_after?: string | undefined;
  ending_before?: string | undefined;
}

export interface ListSource<Row> {
  /** The list's own address, for example `/v1/customers`. */
  url: string;
  /** Stripe's word for the object in `No such customer: 'cus_x'`. */
  noun: string;
  /** Where the object with this id stands, whatever its state; null when there's none. */
  find(id: string): Promise<PageCursor | null>;
  /** At most `page.limit` rows after the cursor in the page's direction (see `pageSql`). */
  list(page: Page): Promise<readonly Row[]>;
  render(row: Row): JsonObject;
}

/**
 * One page as Stripe's list object, newest first (docs.stripe.com/api/pagination). An unknown cursor is refused with
 * the parameter named. One row more than asked is read to know `has_more`.
 */
export async function listPage<Row>(params: ListCursorParams, source: ListSource<Row>): Promise<JsonObject> {
  const direction = params.ending_before === undefined ? 'forward' : 'backward';
  const cursor = await findCursor(params, source);
  const rows = await source.list({ limit: params.limit + 1, cursor, direction });
  const page = rows.slice(0, params.limit);
  if (direction === 'backward') page.reverse();
  return listObject(
    source.url,
    page.map((row) => source.render(row)),
    rows.length > params.limit,
  );
}

async function findCursor<Row>(
  params: ListCursorParams,
  source: ListSource<Row>,
): Promise<PageCursor | null> {
  const name = params.ending_before === undefined ? 'starting_after' : 'ending_before';
  const id = params[name];
  if (id === undefined) return null;
  const cursor = await source.find(id);
  if (cursor === null) throw notFound(source.noun, id, name);
  return cursor;
}

/** Stripe's list object around elements that are all there is, or one page of them. */
export function listObject(url: string, data: readonly JsonObject[], hasMore = false): JsonObject {
  return { object: 'list', data, has_more: hasMore, url };
}
