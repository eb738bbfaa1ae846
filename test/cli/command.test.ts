import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type CliFixture, startCliFixture } from './fixture.js';

const MAIN = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

let cli: CliFixture;
beforeAll(async () => {
  cli = await startCliFixture();
  await cli.createMeter('calls');
});
afterAll(() => cli.stop());

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The compiled command, as a person would start it, without a terminal. */
function durabill(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  const settings = { DURABILL_API: cli.api.baseUrl, DURABILL_KEY: cli.api.apiKey, ...env };
  const child = spawn(process.execPath, [MAIN, ...args], { env: { ...process.env, ...settings } });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })));
}

const row = (identifier: string, customer = cli.customer) => `calls,${identifier},${customer},2\n`;
const file = (name: string, rows: string) =>
  cli.write(name, `event_name,identifier,stripe_customer_id,value\n${rows}`);

test('says what it did in words, with the rate, and shows progress as plain lines', async () => {
  const { code, stdout, stderr } = await durabill(['events', 'send', file('good.csv', row('a') + row('b'))]);
  expect({ code, stdout }).toEqual({
    code: 0,
    stdout: expect.stringMatching(
      /^2 rows: 2 stored, 0 there already, 0 refused; \d+\.\d s, \d+ events\/s\.\n$/,
    ) as string,
  });
  expect(stderr).toMatch(/^\[#{24}\] 100 % {2}2 events, \d+\/s\n$/);
});

test('or as one line of JSON; a refused row makes the exit code 1', async () => {
  const path = file('bad.csv', row('c') + row('d', 'cus_nobody'));
  const { code, stdout } = await durabill(['events', 'send', path, '--json']);
  expect(code).toBe(1);
  expect(stdout.trimEnd()).not.toContain('\n');
  expect(JSON.parse(stdout)).toMatchObject({
    complete: true,
    rows: 2,
    stored: 1,
    refused: 1,
    refusals: [{ line: 3, code: 'meter_event_customer_not_found' }],
  });
});

test('an engine that is not there: exit code 3 and how to go on', async () => {
  const path = file('away.csv', row('e'));
  const { code, stderr } = await durabill([
    'events',
    'send',
    path,
    '--api',
    'http://127.0.0.1:9',
    '--patience',
    '1',
  ]);
  expect(code).toBe(3);
  expect(stderr).toContain('run the command again, it goes on where it was');
});

test.each([
  ['no such file', ['events', 'send', '/nowhere/x.csv'], {}, "the file can't be read"],
  ['no key', ['events', 'send', 'x.csv'], { DURABILL_KEY: '' }, 'no API key'],
  ['an unknown command', ['events', 'count', 'x.csv'], {}, 'is no command'],
  ['two files', ['events', 'send', 'a.csv', 'b.csv'], {}, 'name one file'],
  ['an unknown flag', ['events', 'send', 'a.csv', '--speed'], {}, '--speed'],
  ['a batch that is too big', ['events', 'send', 'a.csv', '--batch', '10001'], {}, 'between 1 and 10000'],
  [
    'an address that is none',
    ['events', 'send', 'a.csv', '--api', 'localhost:4000'],
    {},
    'is not an http URL',
  ],
])('exit code 2 and one line for %s', async (_what, args, env, message) => {
  const { code, stdout, stderr } = await durabill(args, env);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(message);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
});

test('helps', async () => {
  const { code, stdout } = await durabill(['--help']);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^durabill events send FILE/);
});
