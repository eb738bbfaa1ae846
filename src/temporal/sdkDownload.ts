import { execFile } from 'node:child_process';
import { chmodSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { TemporalProgram } from './binaries.js';

const DOWNLOAD_MILLIS_MAX = 20_000;

/**
 * Runs in a process of its own: the SDK offers the download only together with a start, it runs in native code that
 * cannot be interrupted, and a time limit has to be kept.
 */
const DOWNLOAD_SCRIPT = `
const [modulePath, program, version, downloadDir] = process.argv.slice(1);
const { TestWorkflowEnvironment } = await import(modulePath);
const executable = { type: 'cached-download', version, downloadDir };
const start = program === 'temporal' ? 'createLocal' : 'createTimeSkipping';
const environment = await TestWorkflowEnvironment[start]({ server: { executable } });
await environment.teardown();
`;

/**
 * Lets the Temporal SDK download one of its programs from temporal.download into `folder`. Returns the file.
 * Rejects when the SDK's testing package is absent, offline, or slower than 20 seconds.
 */
export async function downloadThroughSdk(
  program: TemporalProgram,
  version: string,
  folder: string,
): Promise<string> {
  let modulePath: string;
  try {
    modulePath = pathToFileURL(createRequire(import.meta.url).resolve('@temporalio/testing')).href;
  } catch {
    throw new Error('the package @temporalio/testing is not installed');
  }
  await runScript([modulePath, program, `v${version}`, folder]);
  const file = readdirSync(folder).find((name) => !name.endsWith('.downloading'));
  if (file === undefined) throw new Error('the SDK reported success but left no file');
  chmodSync(join(folder, file), 0o755);
  return join(folder, file);
}

function runScript(args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const nodeArgs = ['--input-type=module', '-e', DOWNLOAD_SCRIPT, ...args];
    const options = { timeout: DOWNLOAD_MILLIS_MAX, killSignal: 'SIGKILL' as const };
    execFile(process.execPath, nodeArgs, options, (error, _stdout, stderr) => {
      if (error === null) resolve();
      else if (error.killed === true) reject(new Error(`no answer within ${DOWNLOAD_MILLIS_MAX / 1000} s`));
      else reject(new Error(summarise(stderr) ?? error.message));
    });
  });
}

/** The line that says why: the SDK's chain of causes ends with the plainest. */
function summarise(stderr: string): string | undefined {
  const line = stderr.split('\n').find((text) => /error/i.test(text) && !text.trim().startsWith('at '));
  return line?.split(': ').slice(-2).join(': ').trim();
}
