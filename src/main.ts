import { ConfigError, helpText, readConfig } from './config.js';
import type { Config } from './config.js';
import { DataDirInUseError, lockDataDir } from './dataDir.js';
import type { Engine } from './engine.js';
import { createLogger } from './logging.js';
import type { Logger } from './logging.js';
import { PortTakenError } from './ports.js';
import { Shutdown } from './shutdown.js';
import { abandonServers, ServerGaveUpError } from './supervise.js';
import { BinaryNotFoundError } from './temporal/binaries.js';

/** How long a stop may take before what still runs is left behind. */
const STOP_MILLIS_MAX = 30_000;
/** Ctrl-C reaches us twice, from the terminal and from npm; a person who insists takes longer than this. */
const SAME_SIGNAL_MILLIS = 500;
const PARENT_POLL_MILLIS = 1_000;

async function main(args: readonly string[], env: NodeJS.ProcessEnv): Promise<void> {
  const config = readConfig(args, env);
  if (config === 'help') {
    process.stdout.write(helpText());
    return;
  }
  const logger = createLogger(config.logLevel);
  if (config.withoutEffect.length > 0) {
    logger.warn({ variables: config.withoutEffect }, 'these settings have no effect in this version');
  }
  const shutdown = new Shutdown(logger);
  let starting: Promise<unknown> = Promise.resolve();
  const stopper = createStopper(shutdown, logger, () => starting);
  listenForSignals(stopper, logger);
  followParent(stopper, env);

  const lock = await lockDataDir(config.dataDir);
  await shutdown.add('data folder lock', () => lock.release());
  const onFatal = (error: Error) => {
    logger.fatal({ err: error }, 'cannot go on');
    stopper.begin(1, 'fatal');
  };
  // Loaded only now: it takes a second, which a wrong setting or `--help` need not wait for.
  const { startEngine } = await import('./engine.js');
  const engineStarting = startEngine(config, { logger, shutdown, onFatal });
  starting = engineStarting.catch(() => undefined);
  try {
    const engine = await engineStarting;
    await shutdown.add('notice to the next engine', () => lock.markStopping());
    if (!shutdown.begun) announce(config, engine);
  } catch (error) {
    // A start that a signal interrupts fails somewhere in the middle; that is no news.
    if (shutdown.begun) return;
    await shutdown.run();
    throw error;
  }
}

interface Stopper {
  /** Drains and exits. A second call changes nothing. */
  begin(exitCode: number, reason: string): void;
  /** What a signal asks for: the first drains, a later one exits at once. */
  signalled(signal: string): void;
}

function createStopper(shutdown: Shutdown, logger: Logger, started: () => Promise<unknown>): Stopper {
  let begunAt: number | null = null;
  const force = (why: string) => {
    logger.error({ why }, 'exiting without waiting any longer');
    abandonServers();
    process.exit(1);
  };
  const begin = (exitCode: number, reason: string) => {
    if (begunAt !== null) return;
    begunAt = Date.now();
    logger.info({ reason }, 'stopping');
    const deadline = setTimeout(() => force('the deadline for stopping has passed'), STOP_MILLIS_MAX);
    // What a start in progress still brings up, it stops itself; it must not be cut off in between.
    void Promise.all([shutdown.run(), started()]).then(([clean]) => {
      clearTimeout(deadline);
      logger.info({ clean }, 'stopped');
      process.exit(clean ? exitCode : 1);
    });
  };
  return {
    begin,
    signalled(signal) {
      if (begunAt === null) begin(0, signal);
      else if (Date.now() - begunAt > SAME_SIGNAL_MILLIS) force(`a second ${signal}`);
    },
  };
}

function listenForSignals(stopper: Stopper, logger: Logger): void {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => stopper.signalled(signal));
  }
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'uncaught exception');
    stopper.begin(1, 'uncaught exception');
  });
  process.on('unhandledRejection', (reason) => {
    logger.fatal({ err: reason }, 'unhandled rejection');
    stopper.begin(1, 'unhandled rejection');
  });
}

/** Started through npm, we are its child: when npm is killed without a word, nobody is left who wants us. */
function followParent(stopper: Stopper, env: NodeJS.ProcessEnv): void {
  if (env['npm_lifecycle_event'] === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    stopper.begin(1, 'the process that started us is gone');
  }, PARENT_POLL_MILLIS);
  timer.unref();
}

function announce(config: Config, engine: Engine): void {
  const { apiUrl, temporalAddress, temporalUiUrl, apiKey } = engine;
  if (config.json) {
    const line = { ready: true, api: apiUrl, temporal: temporalAddress, temporalUi: temporalUiUrl, apiKey };
    process.stdout.write(`${JSON.stringify(line)}\n`);
    return;
  }
  const lines = [
    'Durabill is ready.',
    ...(apiUrl === null ? [] : [`  API          ${apiUrl}`]),
    `  API key      ${apiKey}`,
    `  Temporal     ${temporalAddress}`,
    ...(temporalUiUrl === null ? [] : [`  Temporal UI  ${temporalUiUrl}`]),
    `  Data         ${config.dataDir}`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** Errors that say what to do need no stack. */
function isPlain(error: unknown): error is Error {
  const plain = [ConfigError, DataDirInUseError, ServerGaveUpError, BinaryNotFoundError, PortTakenError];
  return plain.some((type) => error instanceof type);
}

try {
  await main(process.argv.slice(2), process.env);
} catch (error) {
  process.stderr.write(`${isPlain(error) ? error.message : ((error as Error).stack ?? String(error))}\n`);
  process.exit(1);
}
