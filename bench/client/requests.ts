import { randomBytes } from 'node:crypto';
import { EVENTS_OF, type Form, type HttpJob } from './jobs.js';

/** The parts of the next HTTP request, ready to be sent. */
export type NextRequest = (number: number) => (string | Buffer)[];

const STRIPE_HEADERS =
  'Accept: application/json\r\n' +
  'User-Agent: Stripe/v1 NodeBindings/23.1.0\r\n' +
  'X-Stripe-Client-User-Agent: {"bindings_version":"23.1.0","lang":"node","typescript":"false",' +
  '"lang_version":"v20.20.2","platform":"linux%206.1%20x64","httplib":"node"}\r\n' +
  'Stripe-Version: 2026-10-28.endive\r\n';

const PATHS: Readonly<Record<Form, string>> = {
  v1: '/v1/billing/meter_events',
  v2: '/v2/billing/meter_events',
  stream100: '/v2/billing/meter_event_stream',
  bulk1000: '/live/v1/events',
  bulk10000: '/live/v1/events',
};

const TYPES: Readonly<Record<Form, string>> = {
  v1: 'application/x-www-form-urlencoded',
  v2: 'application/json',
  stream100: 'application/json',
  bulk1000: 'application/x-ndjson',
  bulk10000: 'application/x-ndjson',
};

/** Digits of the number in an identifier; of a time. */
const NUMBER_WIDTH = 12;
const VALUES = 97;

/** What writes the requests of one connection, byte for byte as the official SDK would where the form is its own. */
export function requestWriter(job: HttpJob, token: string): NextRequest {
  const { host } = new URL(job.api);
  const run = randomBytes(6).toString('hex');
  const head =
    `POST ${PATHS[job.form]} HTTP/1.1\r\nHost: ${host}\r\nConnection: keep-alive\r\n` +
    `Authorization: Bearer ${token}\r\nContent-Type: ${TYPES[job.form]}\r\n${STRIPE_HEADERS}`;
  if (job.form === 'v1' || job.form === 'v2') return singleWriter(job, head, run);
  return batchWriter(job, head, run);
}

function singleWriter(job: HttpJob, head: string, run: string): NextRequest {
  const key = `${head}Idempotency-Key: stripe-node-retry-${run}-`;
  return (number) => {
    const body = job.form === 'v1' ? formBody(job, run, number) : jsonEvent(job, run, number, secondsNow());
    return [`${key}${padded(number)}\r\nContent-Length: ${body.length}\r\n\r\n${body}`];
  };
}

function formBody(job: HttpJob, run: string, number: number): string {
  return (
    `event_name=${job.eventName}&payload[stripe_customer_id]=${customerOf(job, number)}` +
    `&payload[value]=${valueOf(number)}&identifier=${run}-${padded(number)}&timestamp=${secondsNow()}`
  );
}

function jsonEvent(job: HttpJob, run: string, number: number, time: number): string {
  const at = job.form.startsWith('bulk') ? String(time) : `"${new Date(time * 1000).toISOString()}"`;
  return (
    `{"event_name":"${job.eventName}","identifier":"${run}-${padded(number)}","timestamp":${at},` +
    `"payload":{"stripe_customer_id":"${customerOf(job, number)}","value":"${valueOf(number)}"}}`
  );
}

/**
 * A batch is written once; for each request only the numbers in the identifiers and the times are written over, in
 * place. So an event costs the client a tenth of a microsecond.
 */
function batchWriter(job: HttpJob, head: string, run: string): NextRequest {
  const size = EVENTS_OF[job.form];
  const marked = Array.from({ length: size }, (_, index) => jsonEvent(job, run, index, secondsNow()));
  const text =
    job.form === 'stream100'
      ? `{"events":[${marked.join(',')}]}`
      : marked.map((line) => `${line}\n`).join('');
  const body = Buffer.from(text, 'latin1');
  const identifiers = offsetsOf(text, `"identifier":"${run}-`, size);
  const times = offsetsOf(text, '"timestamp":', size);
  const timed = job.form === 'stream100' ? null : job.times;
  return (number) => {
    const base = number * size;
    for (let index = 0; index < size; index += 1) {
      body.write(padded(base + index), identifiers[index] ?? 0, 'latin1');
    }
    if (timed !== null) writeTimes(body, times, (index) => timeOf(job, timed, base + index));
    return [`${head}Content-Length: ${body.length}\r\n\r\n`, body];
  };
}

function writeTimes(body: Buffer, offsets: readonly number[], timeAt: (index: number) => number): void {
  let last = 0;
  let text = '';
  offsets.forEach((offset, index) => {
    const time = timeAt(index);
    if (time !== last) text = String(time);
    last = time;
    body.write(text, offset, 'latin1');
  });
}

function timeOf(job: HttpJob, times: HttpJob['times'], number: number): number {
  if (times === undefined || job.eventsMax === undefined) return secondsNow();
  const share = Math.min(1, number / job.eventsMax);
  return Math.floor(times.from + (times.to - times.from) * share);
}

function offsetsOf(text: string, mark: string, count: number): number[] {
  const offsets: number[] = [];
  let at = text.indexOf(mark);
  while (at >= 0) {
    offsets.push(at + mark.length);
    at = text.indexOf(mark, at + 1);
  }
  if (offsets.length !== count) throw new Error(`${offsets.length} marks where ${count} were written`);
  return offsets;
}

function customerOf(job: HttpJob, number: number): string {
  return job.customers[number % job.customers.length] ?? '';
}

function valueOf(number: number): number {
  return 1 + (number % VALUES);
}

function padded(number: number): string {
  return String(number).padStart(NUMBER_WIDTH, '0');
}

function secondsNow(): number {
  return Math.floor(Date.now() / 1000);
}
