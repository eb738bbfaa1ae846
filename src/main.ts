import { ConfigError, helpText, readConfig } from './config.js';
import type { Config } from './config.js';
import { DataDirInUseError, lockDataDir } from './dataDir.js';
import { startEngine } from './engine.js';
import type { Engine } from './engine.js';
import { createLogger } from './logging.js';
import type { Logger } from './logging.js';
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
  const stop = stopper(shutdown, logger, () => starting);
  listenForSignals(stop, logger);
  followParent(stop, env);

  const lock = await lockDataDir(config.dataDir);
  await shutdown.add('data folder lock', () => lock.release());
  const onFatal = (error: Error) => {
    logger.fatal({ err: error }, 'cannot go on');
    stop(1, 'fatal');
  };
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

type Stop = (exitCode: number, reason: string) => void;

/** The first call drains and exits; a later one, or the deadline, exits at once. */
function stopper(shutdown: Shutdown, logger: Logger, started: () => Promise<unknown>): Stop {
  const force = (why: string) => {
    logger.error({ why }, 'exiting without waiting any longer');
    abandonServers();
    process.exit(1);
  };
  let stopping = false;
  return (exitCode, reason) => {
    if (stopping) {
      force(reason);
      return;
    }
    stopping = true;
    logger.info({ reason }, 'stopping');
    const deadline = setTimeout(() => force('the deadline for stopping has passed'), STOP_MILLIS_MAX);
    // What a start in progress still brings up, it stops itself; it must not be cut off in between.
    void Promise.all([shutdown.run(), started()]).then(([clean]) => {
      clearTimeout(deadline);
      logger.info({ clean }, 'stopped');
      process.exit(clean ? exitCode : 1);
    });
  };
}

function listenForSignals(stop: Stop, logger: Logger): void {
  let first = 0;
  const onSignal = (signal: NodeJS.Signals) => {
    const now = Date.now();
    if (first !== 0 && now - first < SAME_SIGNAL_MILLIS) return;
    if (first === 0) first = now;
    stop(0, signal);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('SIGHUP', onSignal);
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'uncaught exception');
    stop(1, 'uncaught exception');
  });
  process.on('unhandledRejection', (reason) => {
    logger.fatal({ err: reason }, 'unhandled rejection');
    stop(1, 'unhandled rejection');
  });
}

/** Started through npm, we are its child: when npm is killed without a word, nobody is left who wants us. */
function followParent(stop: Stop, env: NodeJS.ProcessEnv): void {
  if (env['npm_lifecycle_event'] === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    stop(1, 'the process that started us is gone');
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
  return [ConfigError, DataDirInUseError, ServerGaveUpError, BinaryNotFoundError].some((type) => error instanceof type);
}

try {
  await main(process.argv.slice(2), process.env);
} catch (error) {
  process.stderr.write(`${isPlain(error) ? error.message : ((error as Error).stack ?? String(error))}\n`);
  process.exit(1);
}
