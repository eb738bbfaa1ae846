import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { cruise } from 'dependency-cruiser';
import type { ICruiseOptions, ICruiseResult } from 'dependency-cruiser';
import { ESLint } from 'eslint';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeRunDirectory } from '../support/runDirectory.js';

// The rules guard the design, so they are held against code that breaks it.

describe('the architecture rules', () => {
  let folder: string;

  beforeAll(() => {
    folder = makeRunDirectory('rules');
  });

  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  /** Writes a little project and returns the names of the rules it breaks. */
  async function broken(files: Record<string, string>): Promise<string[]> {
    rmSync(folder, { recursive: true, force: true });
    for (const [path, text] of Object.entries({ 'node_modules/pg/index.js': '', ...files })) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    writeFileSync(
      join(folder, 'package.json'),
      JSON.stringify({ type: 'module', dependencies: { pg: '*' } }),
    );
    const require = createRequire(import.meta.url);
    const { forbidden, options } = require('../../.dependency-cruiser.cjs') as {
      forbidden: object[];
      options: ICruiseOptions & { tsConfig: unknown };
    };
    const { tsConfig: _ignored, ...rest } = options;
    const ruleSet = { forbidden } as NonNullable<ICruiseOptions['ruleSet']>;
    const { output } = await cruise(['src', 'workflows'], {
      ...rest,
      ruleSet,
      validate: true,
      baseDir: folder,
    });
    return (output as ICruiseResult).summary.violations.map(({ rule }) => rule.name).sort();
  }

  const CLEAN = {
    'src/domain/money.ts': 'export const one = 1n;',
    'src/storage/rows.ts':
      "import pg from 'pg'; import { one } from '../domain/money.js'; export default [pg, one];",
    'src/billing/charge.ts': "import '../storage/rows.js';",
    'src/http/app.ts': "import '../billing/charge.js';",
    'workflows/run.ts': "import { one } from '../src/domain/money.js'; export default one;",
  };

  test('let the design through', async () => {
    expect(await broken(CLEAN)).toEqual([]);
  });

  test.each([
    ['domain-is-pure', 'src/domain/money.ts', "import '../storage/rows.js';"],
    ['domain-is-pure', 'src/domain/money.ts', "import { readFileSync } from 'node:fs'; readFileSync('x');"],
    ['sql-stays-in-storage', 'src/billing/charge.ts', "import 'pg';"],
    ['use-cases-know-no-edge', 'src/billing/charge.ts', "import '../http/app.js';"],
    ['storage-is-the-bottom', 'src/storage/rows.ts', "import '../billing/charge.js';"],
    ['workflows-are-deterministic', 'workflows/run.ts', "import '../src/billing/charge.js';"],
    ['resolvable', 'src/http/app.ts', "import './absent.js';"],
  ])('%s: %s may not %s', async (rule, path, text) => {
    expect(await broken({ ...CLEAN, [path]: text })).toContain(rule);
  });

  test('a cycle is refused', async () => {
    const files = {
      'src/domain/a.ts': "import { b } from './b.js'; export const a = () => b;",
      'src/domain/b.ts': "import { a } from './a.js'; export const b = () => a;",
    };
    expect(await broken({ ...CLEAN, ...files })).toContain('no-circular');
  });
});

describe('the lint rules', () => {
  const eslint = new ESLint();

  /** The rules that this text breaks when it stands in a file that exists, whose place decides what holds. */
  async function broken(file: string, text: string): Promise<(string | null)[]> {
    const [result] = await eslint.lintText(text, { filePath: file });
    return (result?.messages ?? []).map(({ ruleId }) => ruleId);
  }

  test.each([
    ['src/domain/money.ts', 'export const x = Number("1");', 'no-restricted-syntax'],
    ['src/domain/money.ts', 'export const x = (1.5).toFixed(1);', 'no-restricted-syntax'],
    ['src/domain/money.ts', 'export const x = Math.round(1.5);', 'no-restricted-syntax'],
    ['src/domain/money.ts', 'export const x = (): number => Date.now();', 'no-restricted-syntax'],
    ['src/domain/money.ts', 'export const x = process.pid;', 'no-restricted-globals'],
    [
      'workflows/index.ts',
      'let count = 0; export const next = (): number => (count += 1);',
      'no-restricted-syntax',
    ],
    ['workflows/index.ts', 'export const x = (): number => Math.random();', 'no-restricted-syntax'],
    [
      'workflows/index.ts',
      "import { readFileSync } from 'node:fs'; readFileSync('x');",
      'no-restricted-imports',
    ],
    [
      'workflows/index.ts',
      "import { Client } from '@temporalio/client'; new Client();",
      'no-restricted-imports',
    ],
    ['src/json.ts', 'void 0; Promise.resolve(1);', '@typescript-eslint/no-floating-promises'],
    [
      'src/json.ts',
      'export function f(x: string) { return x; }',
      '@typescript-eslint/explicit-module-boundary-types',
    ],
    ['src/json.ts', 'export default 1;', 'no-restricted-exports'],
    ['src/json.ts', "export * from './ids.js';", 'no-restricted-syntax'],
  ])('in %s: %s', async (file, text, rule) => {
    expect(await broken(file, text)).toContain(rule);
  });
});
