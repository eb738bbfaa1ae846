import { readFileSync, rmSync } from 'node:fs';
import { Agent } from 'node:http';
import { join } from 'node:path';
import type Stripe from 'stripe';
import { findFreePort } from '../../src/ports.js';
import { identifyProcess, isSameProcessAlive } from '../../src/processes.js';
import type { ProcessIdentity } from '../../src/processes.js';
import { stripeFor } from '../support/engine.js';
import { startEngineProcess } from '../support/process.js';
import type { EngineProcess } from '../support/process.js';
import { endRecordedServers } from '../support/runDirectory.js';
import { sleep } from './account.js';
import { startLossyProxy } from './lossyProxy.js';
import type { LossyProxy } from './lossyProxy.js';

/** Which process is killed. A server is started again by its engine, an engine by us. */
export const VICTIMS = ['engine', 'postgres', 'temporal'] as const;
export type Victim = (typeof VICTIMS)[number];

const RECOVERY_MS = 60_000;
/** An engine gives up on a server that dies five times within a minute: it must not be ourselves who do that. */
const DEATHS_WINDOW_MS = 60_000;
const KILLS_IN_WINDOW_MAX = 3;
/** The SDK waits 0.5 s, 1 s, 2 s, 4 s, then 5 s between tries: this is well over a minute. */
const CLIENT_RETRIES = 20;
const LOSS_EVERY = 10;

/** A real engine on a port of its own, whose processes can be killed one by one. */
export class CrashWorld {
  /** A client that tries again, with the same idempotency key, until it is answered. */
  readonly stripe: Stripe;
  /** The same on a bad line: every tenth answer is lost on its way. */
  readonly badlyConnected: Stripe;
  /** A client that gives up at the first failure. */
  readonly impatient: Stripe;
  readonly #proxy: LossyProxy;
  #engine: EngineProcess;
  readonly #port: number;
  readonly #agent: Agent;
  readonly #kills: { victim: Victim; at: number }[] = [];
  /** Every process there ever was, so that the end can look for survivors. */
  readonly #seen: ProcessIdentity[] = [];

  static async start(): Promise<CrashWorld> {
    const port = await findFreePort();
    const engine = await startEngineProcess({ args: ['--port', String(port)] });
    return new CrashWorld(engine, port, await startLossyProxy(port, LOSS_EVERY));
  }

  private constructor(engine: EngineProcess, port: number, proxy: LossyProxy) {
    this.#engine = engine;
    this.#port = port;
    this.#proxy = proxy;
    this.#agent = new Agent({ keepAlive: true });
    const config = { httpAgent: this.#agent };
    const { api, apiKey } = engine.ready;
    const patient = { ...config, maxNetworkRetries: CLIENT_RETRIES };
    this.stripe = stripeFor(api, apiKey, patient);
    this.badlyConnected = stripeFor(proxy.url, apiKey, patient);
    this.impatient = stripeFor(api, apiKey, { ...config, maxNetworkRetries: 0 });
    this.#remember();
  }

  get api(): { baseUrl: string; apiKey: string } {
    return { baseUrl: this.#engine.ready.api, apiKey: this.#engine.ready.apiKey };
  }

  get temporalAddress(): string {
    return this.#engine.ready.temporal;
  }

  get answersLost(): number {
    return this.#proxy.lost();
  }

  /**
   * Ends one process without a word and sees to it that there is one again. An engine is started after a pause: what
   * was begun seconds before may still be in somebody's hands, what is older a starting engine takes up at once.
   */
  async kill(victim: Victim, { restartAfterMs = 0 } = {}): Promise<void> {
    this.#kills.push({ victim, at: Date.now() });
    if (victim === 'engine') {
      this.#engine.signal('SIGKILL');
      await this.#engine.exited;
      await sleep(restartAfterMs);
      await this.#startEngine();
      return;
    }
    const before = this.#server(victim);
    process.kill(before.pid, 'SIGKILL');
    await this.#untilReplaced(victim, before);
    this.#remember();
  }

  async #startEngine(): Promise<void> {
    const { dataDir } = this.#engine;
    this.#engine = await startEngineProcess({ dataDir, args: ['--port', String(this.#port)] });
    this.#remember();
  }

  /** Waits until the victim may be killed so many times more. */
  async rest(victim: Victim, kills: number): Promise<void> {
    const recent = () =>
      this.#kills.filter((kill) => kill.victim === victim && Date.now() - kill.at < DEATHS_WINDOW_MS);
    while (recent().length + kills > KILLS_IN_WINDOW_MAX) await sleep(500);
  }

  /** Drains the engine and returns every process of it that is still there. */
  async stop(): Promise<ProcessIdentity[]> {
    this.#agent.destroy();
    await this.#proxy.close();
    await this.#engine.stop();
    const survivors = this.#seen.filter((one) => isSameProcessAlive(one));
    await endRecordedServers(this.#engine.dataDir);
    rmSync(this.#engine.dataDir, { recursive: true, force: true });
    return survivors;
  }

  #server(name: 'postgres' | 'temporal'): ProcessIdentity {
    const file = join(this.#engine.dataDir, 'run', `${name}.json`);
    return JSON.parse(readFileSync(file, 'utf8')) as ProcessIdentity;
  }

  async #untilReplaced(name: 'postgres' | 'temporal', before: ProcessIdentity): Promise<void> {
    const deadline = Date.now() + RECOVERY_MS;
    const engine = identifyProcess(this.#engine.pid);
    while (engine !== null && isSameProcessAlive(engine) && Date.now() < deadline) {
      if (this.#server(name).pid !== before.pid && (await this.#isReady())) return;
      await sleep(100);
    }
    const log = this.#engine.stderr().split('\n').slice(-40).join('\n');
    throw new Error(`${name} did not come back, or took the engine with it:\n${log}`);
  }

  async #isReady(): Promise<boolean> {
    return (await fetch(`${this.#engine.ready.api}/readyz`)).ok;
  }

  #remember(): void {
    const engine = identifyProcess(this.#engine.pid);
    if (engine !== null) this.#seen.push(engine);
    this.#seen.push(this.#server('postgres'), this.#server('temporal'));
  }
}
