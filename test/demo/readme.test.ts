import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestEngine, type TestEngine } from '../support/engine.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const README = readFileSync(`${ROOT}README.md`, 'utf8');
const run = promisify(execFile);

/** The code block of this language that the README says is executed here, word for word. */
function executedBlock(language: 'js' | 'bash'): string {
  const marker = `<!-- executed by test/demo/readme.test.ts -->\n\`\`\`${language}\n`;
  const start = README.indexOf(marker);
  if (start < 0) throw new Error(`the README has no executed ${language} block`);
  const from = start + marker.length;
  return README.slice(from, README.indexOf('\n```', from));
}

describe("the README's first calls", () => {
  let engine: TestEngine;
  beforeAll(async () => {
    engine = await startTestEngine();
  });
  afterAll(() => engine.stop());

  const environment = () => ({ ...process.env, DURABILL_API: engine.baseUrl, DURABILL_KEY: engine.apiKey });

  test('with the SDK', async () => {
    const args = ['--input-type=module', '--eval', executedBlock('js')];
    const { stdout } = await run(process.execPath, args, { cwd: ROOT, env: environment() });
    expect(stdout).toBe('the next invoice so far: 60 usd\n');
    expect(README).toContain('It prints `60 usd`');
  });

  test('with curl', async (context) => {
    const curl = await run('bash', ['-c', 'command -v curl']).catch(() => null);
    if (curl === null) context.skip('there is no bash with curl here');
    const { stdout } = await run('bash', ['-c', executedBlock('bash')], { cwd: ROOT, env: environment() });
    const [event, preview] = stdout
      .split(/(?<=\})(?=\{)/)
      .map((text) => JSON.parse(text) as Record<string, unknown>);
    expect(event).toMatchObject({ object: 'billing.meter_event', event_name: 'tokens' });
    expect(preview).toMatchObject({ object: 'invoice', status: 'draft', total: 42 * 3 });
  });
});

test.each(['README.md', 'docs/operations.md', 'docs/decisions/0007-libraries.md'])(
  '%s links to what exists',
  (page) => {
    const folder = new URL(`../../${page}`, import.meta.url);
    const links = [...readFileSync(folder, 'utf8').matchAll(/\]\(([^)#]+)\)/g)].map(
      ([, target = '']) => target,
    );
    const local = links.filter((target) => !/^https?:/.test(target));
    const missing = local.filter((target) => !existsSync(new URL(target, folder)));
    expect(local.length).toBeGreaterThan(0);
    expect(missing).toEqual([]);
  },
);

test('the paths in the README exist', () => {
  const paths = [...README.matchAll(/`((?:src|workflows|activities|test|docs)\/[\w./]+)`/g)].map(
    ([, path = '']) => path,
  );
  expect(paths.length).toBeGreaterThan(5);
  expect(paths.filter((path) => !existsSync(`${ROOT}${path}`))).toEqual([]);
});
