import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseCommand, type SendOptions } from '../../src/cli/args.js';
import { type Refused, sendFile, type SendDeps, type SendResult } from '../../src/cli/send.js';
import { createIngest } from '../../src/metering/ingest.js';
import { startTestApi, type TestApi } from '../support/api.js';

export interface CliFixture {
  readonly api: TestApi;
  readonly customer: string;
  /** Writes a file into the folder of this fixture. Returns its path. */
  write(name: string, content: string): string;
  /** `durabill events send` with these arguments, in this process. */
  send(args: readonly string[], deps?: Partial<SendDeps>): Promise<SendResult>;
  /** Total usage of the customer on a meter. */
  total(meter: string): Promise<number>;
  createMeter(eventName: string): Promise<string>;
  stop(): Promise<void>;
}

/** An API with an ingest, a customer, and a folder for files. */
export async function startCliFixture(): Promise<CliFixture> {
  const api = await startTestApi();
  const { db, core } = api;
  Object.assign(core, { ingest: createIngest({ db, log: core.log, now: () => core.now() }) });
  const folder = mkdtempSync(join(tmpdir(), 'durabill-cli-'));
  const customer = (await api.stripe.customers.create()).id;
  return {
    api,
    customer,
    write(name, content) {
      const file = join(folder, name);
      writeFileSync(file, content);
      return file;
    },
    send(args, deps = {}) {
      const env = { DURABILL_API: api.baseUrl, DURABILL_KEY: api.apiKey };
      const options = parseCommand(['events', 'send', ...args], env, folder) as SendOptions;
      return sendFile(options, {
        interrupt: new AbortController().signal,
        onProgress: () => undefined,
        onWaiting: () => undefined,
        ...deps,
      });
    },
    async total(meter) {
      const now = Math.floor(Date.now() / 60_000) * 60;
      const { data } = await api.stripe.billing.meters.listEventSummaries(meter, {
        customer,
        start_time: now - 40 * 86_400,
        end_time: now + 600,
      });
      return data[0]?.aggregated_value ?? 0;
    },
    async createMeter(eventName) {
      const created = await api.stripe.billing.meters.create({
        display_name: eventName,
        event_name: eventName,
        default_aggregation: { formula: 'sum' },
      });
      return created.id;
    },
    async stop() {
      rmSync(folder, { recursive: true });
      await api.stop();
    },
  };
}

export function refusals(result: SendResult): [number, string][] {
  return result.refusals.map(({ line, code }: Refused) => [line, code]);
}
