import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Job, type JobResult, STOP } from './jobs.js';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

type Message = { result: JobResult } | { problem: string };

/**
 * Carries out a job in a process of its own. Rejects with the process's words when the job fails. When `enough` is
 * aborted, a job over HTTP ends early and what it did until then counts.
 */
export function runJob(job: Job, enough?: AbortSignal): Promise<JobResult> {
  return new Promise((resolve, reject) => {
    const child = fork(MAIN, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    child.once('error', reject);
    child.once('message', (message) => {
      const told = message as Message;
      if ('result' in told) resolve(told.result);
      else reject(new Error(told.problem));
    });
    child.once('exit', (code) => {
      reject(new Error(`the load generator ended with ${String(code)}`));
    });
    enough?.addEventListener('abort', () => {
      if (child.connected) child.send(STOP);
    });
    child.send(job);
  });
}
