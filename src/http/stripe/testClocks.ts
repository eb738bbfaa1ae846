import { advanceTestClock, createTestClock, removeTestClock } from '../../billing/testClocks.js';
import { notFound } from '../../domain/errors.js';
import {
  findTestClock,
  findTestClockCursor,
  findTestClocks,
  listTestClocks,
} from '../../storage/testClocks.js';
import { testClockObject } from '../../stripe/testClock.js';
import { deletedObject } from '../../stripe/values.js';
import { type Endpoint, endpoint } from '../endpoint.js';
import type { Expansion } from '../expand.js';
import { listPage } from '../pagination.js';
import { instant, listParamsWithoutCreated, object, text } from '../params.js';

const URL = '/v1/test_helpers/test_clocks';

const create = endpoint({
  method: 'POST',
  path: URL,
  params: object({ frozen_time: instant(), name: text({ max: 300 }).optional() }),
  unsupported: ['customer'],
  async handle({ core, tx, accountId, request }, params) {
    const clock = { frozenTime: params.frozen_time, name: params.name ?? null };
    return testClockObject(await createTestClock(tx, core, accountId, clock, request));
  },
});

const list = endpoint({
  method: 'GET',
  path: URL,
  params: listParamsWithoutCreated({}),
  handle: ({ q, accountId }, params) =>
    listPage(params, {
      url: URL,
      noun: 'test clock',
      find: (id) => findTestClockCursor(q, accountId, id),
      list: (page) => listTestClocks(q, accountId, page),
      render: testClockObject,
    }),
});

const retrieve = endpoint({
  method: 'GET',
  path: `${URL}/:id`,
  params: object({}),
  async handle({ q, accountId }, _params, { id = '' }) {
    const clock = await findTestClock(q, accountId, id);
    if (clock === null) throw notFound('test clock', id, 'test_clock');
    return testClockObject(clock);
  },
});

const advance = endpoint({
  method: 'POST',
  path: `${URL}/:id/advance`,
  params: object({ frozen_time: instant() }),
  async handle({ core, tx, accountId, request }, params, { id = '' }) {
    const ref = { accountId, testClockId: id };
    return testClockObject(await advanceTestClock(tx, core, ref, params.frozen_time, request));
  },
});

const remove = endpoint({
  method: 'DELETE',
  path: `${URL}/:id`,
  params: object({}),
  async handle({ core, tx, accountId, request }, _params, { id = '' }) {
    await removeTestClock(tx, core, { accountId, testClockId: id }, request);
    return deletedObject('test_helpers.test_clock', id);
  },
});

export const testClocksEndpoints: readonly Endpoint[] = [create, list, retrieve, advance, remove];

export const testClocksExpansion: Expansion = {
  object: 'test_helpers.test_clock',
  async load({ q, accountId }, ids) {
    const clocks = await findTestClocks(q, accountId, ids);
    return new Map(clocks.map((clock) => [clock.id, testClockObject(clock)]));
  },
  properties: {},
};
