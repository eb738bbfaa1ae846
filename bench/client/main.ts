// The load generator: a process of its own that carries out one job, tells the result to its parent and ends.
import { runPostgresJob } from '../baselines/postgres.js';
import { runHttpJob } from './http.js';
import { type Job, type JobResult, STOP } from './jobs.js';

const enough = new AbortController();

process.once('message', (job: Job) => {
  process.on('message', (message) => {
    if (message === STOP) enough.abort();
  });
  void perform(job).then(
    (result) => process.send?.({ result }, () => process.exit(0)),
    (error: unknown) => {
      process.send?.({ problem: error instanceof Error ? error.stack : String(error) }, () =>
        process.exit(1),
      );
    },
  );
});
// A parent that was killed wants nothing any more.
process.once('disconnect', () => process.exit(1));

async function perform(job: Job): Promise<JobResult> {
  if (job.kind === 'http') return runHttpJob(job, enough.signal);
  if (job.kind === 'postgres') return runPostgresJob(job);
  // Temporal's SDK takes a second and much memory to load, which the other jobs need not pay.
  const { runSignalJob } = await import('../baselines/signals.js');
  return runSignalJob(job);
}
