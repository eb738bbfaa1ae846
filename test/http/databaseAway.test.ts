import { expect, test } from 'vitest';
import { errorAnswer } from '../../src/http/errors.js';
import { expectedFailure } from '../../src/http/failure.js';
import { metronomeFailure } from '../../src/http/metronome/errors.js';
import { createLogger } from '../../src/logging.js';
import { isDatabaseAway } from '../../src/storage/db.js';

test.each([
  [
    'a server that starts',
    Object.assign(new Error('the database system is starting up'), { code: '57P03' }),
    true,
  ],
  ['a server that stops', Object.assign(new Error('terminating connection'), { code: '57P01' }), true],
  ['nobody at the port', Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }), true],
  ['a connection that broke', new Error('Connection terminated unexpectedly'), true],
  [
    'a connection that broke before',
    new Error('Client has encountered a connection error and is not queryable'),
    true,
  ],
  ['a unique key', Object.assign(new Error('duplicate key'), { code: '23505' }), false],
  ['a mistake of ours', new TypeError('x is not a function'), false],
  ['no error at all', '57P03', false],
])('%s', (_what, error, away) => {
  expect(isDatabaseAway(error)).toBe(away);
});

test('either dialect answers a database that is away with 503 and asks to come again', () => {
  const error = Object.assign(new Error('terminating connection'), { code: '57P01' });
  const failure = expectedFailure({ log: createLogger('silent') }, 'req_1', 'GET /', error);
  if (failure === null) throw new Error('taken for a defect');
  expect(errorAnswer(failure)).toMatchObject({ status: 503, retry: true });
  expect(metronomeFailure(failure)).toMatchObject({ status: 503, headers: { 'x-should-retry': 'true' } });
});
