import { setTimeout as sleep } from 'node:timers/promises';
import { latenciesOf } from '../stats.js';
import { Connection, type Reply } from './connection.js';
import { EVENTS_OF, type HttpJob, type JobResult } from './jobs.js';
import { requestWriter } from './requests.js';

const WARM_UP_SECONDS = 1;
const BUSY_PAUSE_MS = 20;

/** Runs a job over HTTP to its end or until `enough`. Events count when they are acknowledged after the warm-up. */
export async function runHttpJob(job: HttpJob, enough: AbortSignal): Promise<JobResult> {
  const run = new HttpRun(job, enough);
  return run.measure();
}

class HttpRun {
  readonly #job: HttpJob;
  readonly #enough: AbortSignal;
  readonly #size: number;
  readonly #millis: number[] = [];
  readonly #failures: Record<string, number> = {};
  #next = 0;
  #sent = 0;
  #events = 0;
  #requests = 0;
  #notServed = false;
  #startsAt = 0;
  #endsAt = Number.POSITIVE_INFINITY;

  constructor(job: HttpJob, enough: AbortSignal) {
    this.#job = job;
    this.#enough = enough;
    this.#size = EVENTS_OF[job.form];
  }

  async measure(): Promise<JobResult> {
    const { seconds, connections } = this.#job;
    const { hostname, port } = new URL(this.#job.api);
    const token = await tokenFor(this.#job);
    if (token === null) this.#notServed = true;
    const lanes = await Promise.all(
      Array.from({ length: connections }, () => Connection.open(hostname, Number.parseInt(port, 10))),
    );
    const cpuBefore = process.cpuUsage();
    this.#startsAt = performance.now() + (seconds === undefined ? 0 : WARM_UP_SECONDS * 1000);
    if (seconds !== undefined) this.#endsAt = this.#startsAt + seconds * 1000;
    if (token !== null) await Promise.all(lanes.map((lane) => this.#drive(lane, token)));
    // What was under way at the end is waited for and counted, so the span ends with the last answer.
    const measured = (performance.now() - this.#startsAt) / 1000;
    for (const lane of lanes) lane.close();
    const cpu = process.cpuUsage(cpuBefore);
    return {
      notServed: this.#notServed,
      events: this.#events,
      requests: this.#requests,
      seconds: measured,
      latencies: latenciesOf(this.#millis),
      failures: this.#failures,
      clientCpuSeconds: (cpu.user + cpu.system) / 1e6,
    };
  }

  async #drive(connection: Connection, token: string): Promise<void> {
    const write = requestWriter(this.#job, token);
    while (!this.#notServed && this.#goesOn()) {
      const number = this.#next;
      this.#next += 1;
      await this.#pace();
      const parts = write(number);
      for (;;) {
        const before = performance.now();
        const reply = await connection.request(...parts);
        this.#count(reply, before);
        if (reply.status !== 429) break;
        await sleep(BUSY_PAUSE_MS);
      }
    }
  }

  #goesOn(): boolean {
    if (this.#enough.aborted || performance.now() >= this.#endsAt) return false;
    const { eventsMax } = this.#job;
    if (eventsMax !== undefined && this.#sent >= eventsMax) return false;
    this.#sent += this.#size;
    return true;
  }

  /** Waits until the next request is due at the wanted rate. */
  async #pace(): Promise<void> {
    const { rate } = this.#job;
    if (rate === undefined) return;
    const begun = this.#startsAt - (this.#job.seconds === undefined ? 0 : WARM_UP_SECONDS * 1000);
    const due = begun + ((this.#sent - this.#size) / rate) * 1000;
    const early = due - performance.now();
    if (early > 1) await sleep(early);
  }

  #count(reply: Reply, before: number): void {
    const after = performance.now();
    if (reply.status === 404 || reply.status === 405) {
      // A customer that is not there is a 404 as well, in the engine's own words.
      if (reply.body.includes('Unrecognized request URL')) this.#notServed = true;
    }
    if (after < this.#startsAt) return;
    this.#requests += 1;
    this.#millis.push(after - before);
    if (reply.status === 200) this.#events += this.#storedBy(reply);
    else this.#fail(String(reply.status), 1);
  }

  #storedBy(reply: Reply): number {
    if (!this.#job.form.startsWith('bulk')) return this.#size;
    const stored = Number.parseInt(/"stored":(\d+)/.exec(reply.body)?.[1] ?? '0', 10);
    if (stored < this.#size) this.#fail('not stored', this.#size - stored);
    return stored;
  }

  #fail(name: string, count: number): void {
    this.#failures[name] = (this.#failures[name] ?? 0) + count;
  }
}

/** The API key, or for the stream a session's token; null where there are no sessions. */
async function tokenFor(job: HttpJob): Promise<string | null> {
  if (job.form !== 'stream100') return job.apiKey;
  const answer = await fetch(`${job.api}/v2/billing/meter_event_session`, {
    method: 'POST',
    headers: { authorization: `Bearer ${job.apiKey}`, 'content-type': 'application/json' },
    body: '{}',
  });
  if (answer.status === 404) return null;
  const { authentication_token: token } = (await answer.json()) as { authentication_token?: string };
  if (token === undefined) throw new Error(`no session: ${answer.status}`);
  return token;
}
