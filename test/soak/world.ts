import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from '../../src/logging.js';
import { findFreePort } from '../../src/ports.js';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/storage/embeddedPostgres.js';
import { findTemporalBinary } from '../../src/temporal/binaries.js';
import { startDevServer, type TemporalDevServer } from '../../src/temporal/devServer.js';
import { SEARCH_ATTRIBUTES } from '../../src/temporal/names.js';
import { type ReadyLine, type SpawnedEngine, spawnEngine } from '../support/process.js';
import { makeRunDirectory } from '../support/runDirectory.js';

/** What may be killed. API and worker are processes of their own, as on a team's machines. */
export const VICTIMS = ['api', 'worker', 'temporal', 'postgres'] as const;
export type Victim = (typeof VICTIMS)[number];

const RECOVERY_MS = 60_000;
/** A server that dies five times in a minute is given up (docs/operations.md): the fifth kill has to wait. */
const KILLS_A_MINUTE = 4;

/** Real Postgres, real Temporal, one API process and one worker process, each of which can be killed. */
export class SoakWorld {
  readonly api: string;
  readonly apiKey: string;
  readonly databaseUrl: string;
  readonly #dataDir: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #port: number;
  readonly #postgres: EmbeddedPostgres;
  readonly #temporal: TemporalDevServer;
  readonly #engines: Record<'api' | 'worker', SpawnedEngine>;
  readonly #kills: { victim: Victim; at: number }[] = [];

  static async start(): Promise<SoakWorld> {
    const dataDir = makeRunDirectory('soak');
    const logger = createLogger('silent');
    const onFatal = (error: Error): void => {
      throw error;
    };
    const binary = await findTemporalBinary('temporal', {});
    const [postgres, temporal] = await Promise.all([
      startEmbeddedPostgres({ dataDir, logger, onFatal }),
      startDevServer({ binary, dataDir, searchAttributes: SEARCH_ATTRIBUTES, logger, onFatal }),
    ]);
    const env = {
      DATABASE_URL: postgres.url,
      TEMPORAL_ADDRESS: temporal.address,
      DURABILL_LOG_LEVEL: 'warn',
    };
    const port = await findFreePort();
    const api = spawnEngine(argsOf('api', dataDir, port), env);
    const ready = JSON.parse(await api.firstLine()) as ReadyLine;
    const worker = spawnEngine(argsOf('worker', dataDir, port), env);
    await worker.firstLine();
    return new SoakWorld({ dataDir, env, port, postgres, temporal, engines: { api, worker }, ready });
  }

  private constructor(parts: {
    dataDir: string;
    env: NodeJS.ProcessEnv;
    port: number;
    postgres: EmbeddedPostgres;
    temporal: TemporalDevServer;
    engines: Record<'api' | 'worker', SpawnedEngine>;
    ready: ReadyLine;
  }) {
    this.api = parts.ready.api;
    this.apiKey = parts.ready.apiKey;
    this.databaseUrl = parts.postgres.url;
    this.#dataDir = parts.dataDir;
    this.#env = parts.env;
    this.#port = parts.port;
    this.#postgres = parts.postgres;
    this.#temporal = parts.temporal;
    this.#engines = parts.engines;
  }

  /** Whether this one may be killed now without its supervisor giving it up. */
  mayKill(victim: Victim): boolean {
    const since = Date.now() - 60_000;
    return this.#kills.filter((kill) => kill.victim === victim && kill.at > since).length < KILLS_A_MINUTE;
  }

  /** Ends a process without a word, and sees to it that there is one again, after `pauseMs` for those of ours. */
  async kill(victim: Victim, pauseMs: number): Promise<void> {
    this.#kills.push({ victim, at: Date.now() });
    if (victim === 'api' || victim === 'worker') {
      const engine = this.#engines[victim];
      engine.signal('SIGKILL');
      await engine.exited;
      await sleep(pauseMs);
      this.#engines[victim] = spawnEngine(argsOf(victim, this.#dataDir, this.#port), this.#env);
      await this.#engines[victim].firstLine();
      return;
    }
    const server = victim === 'postgres' ? this.#postgres : this.#temporal;
    const restarts = server.restarts();
    const pid = server.pid();
    if (pid === null) throw new Error(`${victim} does not run`);
    process.kill(pid, 'SIGKILL');
    await this.#until(() => server.restarts() > restarts, `${victim} is started again`);
  }

  /** Resolves when everything answers. */
  async untilReady(): Promise<void> {
    const ready = async () => (await fetch(`${this.api}/readyz`).catch(() => null))?.ok === true;
    await this.#until(ready, 'the API is ready');
  }

  async stop(): Promise<void> {
    for (const engine of Object.values(this.#engines)) {
      engine.signal('SIGTERM');
      await engine.exited;
    }
    await Promise.all([this.#postgres.stop(), this.#temporal.stop()]);
    rmSync(this.#dataDir, { recursive: true, force: true });
  }

  async #until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
    const deadline = Date.now() + RECOVERY_MS;
    while (!(await condition())) {
      if (Date.now() > deadline) throw new Error(`waited in vain until ${what}:\n${this.#log()}`);
      await sleep(50);
    }
  }

  #log(): string {
    return Object.values(this.#engines)
      .map((engine) => engine.stderr().slice(-3000))
      .join('\n');
  }
}

function argsOf(role: 'api' | 'worker', dataDir: string, port: number): string[] {
  const own = ['--json', '--role', role, '--data-dir', join(dataDir, role)];
  return role === 'api' ? [...own, '--port', String(port)] : own;
}
