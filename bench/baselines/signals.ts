import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import type { JobResult, SignalJob } from '../client/jobs.js';
import { latenciesOf } from '../stats.js';

const WORKFLOWS = fileURLToPath(new URL('./counter.js', import.meta.url));

/** Signals acknowledged by the server in the timed span, with a worker that handles them at the same time. */
export async function runSignalJob(job: SignalJob): Promise<JobResult> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const taskQueue = `bench-${randomBytes(6).toString('hex')}`;
  const connection = await Connection.connect({ address: job.address });
  const native = await NativeConnection.connect({ address: job.address });
  const worker = await Worker.create({ connection: native, taskQueue, workflowsPath: WORKFLOWS });
  const running = worker.run();
  try {
    const client = new Client({ connection });
    const options = { taskQueue, workflowId: taskQueue, args: [0] };
    const handle = await client.workflow.start('counter', options);
    return await measure(job, handle);
  } finally {
    worker.shutdown();
    await running;
    await native.close();
    await connection.close();
  }
}

async function measure(job: SignalJob, handle: WorkflowHandle): Promise<JobResult> {
  const millis: number[] = [];
  const cpuBefore = process.cpuUsage();
  const start = performance.now();
  const end = start + job.seconds * 1000;
  const lane = async (): Promise<void> => {
    while (performance.now() < end) {
      const before = performance.now();
      await handle.signal('event', `{"stripe_customer_id":"cus_bench000000001","value":"1"}`);
      millis.push(performance.now() - before);
    }
  };
  await Promise.all(Array.from({ length: job.concurrency }, lane));
  const seconds = (performance.now() - start) / 1000;
  const cpu = process.cpuUsage(cpuBefore);
  await handle.signal('stop');
  const counted: unknown = await handle.result();
  if (counted !== millis.length) throw new Error(`${String(counted)} of ${millis.length} signals counted`);
  return {
    notServed: false,
    events: millis.length,
    requests: millis.length,
    seconds,
    latencies: latenciesOf(millis),
    failures: {},
    clientCpuSeconds: (cpu.user + cpu.system) / 1e6,
  };
}
