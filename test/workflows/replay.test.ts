import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, inject, test } from 'vitest';
import { recordedHistories } from './histories.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const histories = recordedHistories();

beforeAll(() => {
  Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging: { filter: 'OFF' } } });
});

describe('recorded histories', () => {
  test('there is one of every path of a subscription and of a contract', () => {
    expect(histories.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'contract-clock',
        'contract-continued',
        'contract-wall-time',
        'subscription-cancel',
        'subscription-worker-away',
        'subscription-year',
      ]),
    );
  });

  test.each(histories)('$name replays on the workflow code of today', async ({ history }) => {
    const { workflowBundle } = inject('durabill');
    if ('problem' in workflowBundle) throw new Error(workflowBundle.problem);
    await Worker.runReplayHistory({ workflowBundle: { codePath: workflowBundle.path } }, history);
  });

  test.each([
    ['subscription', 'subscription-year', 'const usage = await steps.aggregateUsage(end);'],
    ['contract', 'contract-clock', 'this.#stepsDone += 1;'],
    ['contract', 'contract-continued', 'this.#stepsDone += 1;'],
  ])('a %s that waits a minute before it bills no longer replays %s', async (workflow, name, step) => {
    const code = await bundleChanged(`${workflow}.ts`, (source) => {
      const changed = source.replace(
        step,
        `await new Promise((wait) => setTimeout(wait, 60_000));\n    ${step}`,
      );
      expect(changed).not.toBe(source);
      return changed;
    });
    const recorded = histories.find((one) => one.name === name);
    const replayed = Worker.runReplayHistory({ workflowBundle: { code } }, recorded?.history);
    await expect(replayed).rejects.toThrow(/TMPRL1100/);
  });
});

/** The workflow bundle with one of its files changed. */
async function bundleChanged(file: string, change: (source: string) => string): Promise<string> {
  const copy = mkdtempSync(join(tmpdir(), 'durabill-changed-'));
  try {
    for (const folder of ['workflows', 'src', 'activities'])
      cpSync(join(ROOT, folder), join(copy, folder), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
    const path = join(copy, 'workflows', file);
    writeFileSync(path, change(readFileSync(path, 'utf8')));
    const { code } = await bundleWorkflowCode({
      workflowsPath: join(copy, 'workflows', 'index.ts'),
      logger: new DefaultLogger('ERROR'),
    });
    return code;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}
