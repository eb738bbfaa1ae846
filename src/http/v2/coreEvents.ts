import { invalid, notFound } from '../../domain/errors.js';
import type { InstantRange } from '../../storage/pages.js';
import type { PageCursor } from '../../storage/pages.js';
import { findThinEvent, listThinEvents } from '../../storage/thinEvents.js';
import { thinEventObject } from '../../stripe/thin.js';
import { type Endpoint, endpoint } from '../endpoint.js';
import { timeParam } from '../live/time.js';
import { array, integer, object, text } from '../params.js';

const URL = '/v2/core/events';
const LIMIT_DEFAULT = 20;
const LIMIT_MAX = 100;
const TYPES_MAX = 20;

const range = object({
  gt: timeParam().optional(),
  gte: timeParam().optional(),
  lt: timeParam().optional(),
  lte: timeParam().optional(),
});

export const coreEventsEndpoints: readonly Endpoint[] = [
  endpoint({
    method: 'GET',
    path: URL,
    params: object({
      created: range.optional(),
      limit: integer({ min: 1, max: LIMIT_MAX }).default(LIMIT_DEFAULT),
      object_id: text().optional(),
      // What `next_page_url` carries.
      page: text().optional(),
      types: array(text(), { max: TYPES_MAX }).optional(),
    }),
    async handle({ q, accountId }, params) {
      const { created = {}, limit, object_id: objectId, types } = params;
      const filter = { created: rangeOf(created), objectId, types };
      const after = params.page === undefined ? null : readPage(params.page);
      const found = await listThinEvents(q, accountId, filter, after, limit + 1);
      const page = found.slice(0, limit);
      const last = page.at(-1);
      const more = found.length > limit && last !== undefined;
      return {
        data: page.map(thinEventObject),
        next_page_url: more ? nextPageUrl(params, last) : null,
        previous_page_url: null,
      };
    },
  }),
  endpoint({
    method: 'GET',
    path: `${URL}/:id`,
    params: object({}),
    async handle({ q, accountId }, _params, { id = '' }) {
      const event = await findThinEvent(q, accountId, id);
      if (event === null) throw notFound('event', id, 'id');
      return thinEventObject(event);
    },
  }),
];

interface ListParams {
  limit: number;
  created?: Bounds | undefined;
  object_id?: string | undefined;
  types?: readonly string[] | undefined;
}

interface Bounds {
  gt?: number | undefined;
  gte?: number | undefined;
  lt?: number | undefined;
  lte?: number | undefined;
}

function rangeOf({ gt, gte, lt, lte }: Bounds): InstantRange {
  const starts = [gte, gt === undefined ? undefined : gt + 1].filter((one) => one !== undefined);
  const ends = [lt, lte === undefined ? undefined : lte + 1].filter((one) => one !== undefined);
  return {
    from: starts.length === 0 ? null : Math.max(...starts),
    before: ends.length === 0 ? null : Math.min(...ends),
  };
}

/** The address of the next page, filters and all. */
function nextPageUrl(params: ListParams, last: PageCursor): string {
  const query = new URLSearchParams({ limit: String(params.limit) });
  for (const [bound, instant] of Object.entries<number | undefined>({ ...params.created })) {
    if (instant !== undefined) query.set(`created[${bound}]`, new Date(instant).toISOString());
  }
  if (params.object_id !== undefined) query.set('object_id', params.object_id);
  for (const [index, type] of (params.types ?? []).entries()) query.set(`types[${index}]`, type);
  query.set('page', Buffer.from(`${last.createdAt}.${last.id}`).toString('base64url'));
  return `${URL}?${query.toString()}`;
}

function readPage(page: string): PageCursor {
  const [, createdAt, id] = /^(\d{1,16})\.(\w+)$/.exec(Buffer.from(page, 'base64url').toString()) ?? [];
  if (createdAt === undefined || id === undefined) throw invalid('Invalid page token.', { param: 'page' });
  return { createdAt: Number(createdAt), id };
}
