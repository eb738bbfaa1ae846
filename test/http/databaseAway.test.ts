import { expect, test } from 'vitest';
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
  ['a unique key', Object.assign(new Error('duplicate key'), { code: '23505' }), false],
  ['a mistake of ours', new TypeError('x is not a function'), false],
  ['no error at all', '57P03', false],
])('%s', (_what, error, away) => {
  expect(isDatabaseAway(error)).toBe(away);
});
