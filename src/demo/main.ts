// The demo: an engine of its own, two customers, twelve months, every invoice checked. A client like any other: what it
// shows came over HTTP through Stripe's official client.
import { accessSync, constants } from 'node:fs';
import { type DemoOptions, HELP, parseDemoArgs } from './args.js';
import { createClient } from './client.js';
import { SECOND_MS } from './dates.js';
import { type EngineAddress, type EngineProcess, startEngine } from './engine.js';
import { billFile } from './eventsRun.js';
import { renderLinks } from './links.js';
import { createScreen } from '../terminal/screen.js';
import { type DemoResult, tellStory } from './story.js';
import { UsageError } from '../terminal/usageError.js';

/** Ctrl-C reaches us twice, from the terminal and from npm. */
const SAME_SIGNAL_MILLIS = 500;

const screen = createScreen(process.stdout, () => Date.now());
process.exitCode = await run();

async function run(): Promise<number> {
  try {
    const options = parseDemoArgs(process.argv.slice(2), process.env['INIT_CWD'] ?? process.cwd());
    if (options !== 'help') return await demonstrate(options);
    screen.print(HELP);
    return 0;
  } catch (error) {
    screen.clear();
    const expected = error instanceof UsageError;
    process.stderr.write(`${expected ? error.message : describe(error)}\n`);
    return expected ? 2 : 1;
  }
}

/** Said before an engine is started for nothing. */
function requireFile(file: string): void {
  try {
    accessSync(file, constants.R_OK);
  } catch (error) {
    throw new UsageError(`--events: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** An API error carries its whole response; its stack says enough. */
function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

async function demonstrate(options: DemoOptions): Promise<number> {
  if (options.events !== null) requireFile(options.events.file);
  const interruption = interrupted();
  const engine = options.remote === null ? launch(options) : null;
  try {
    const ended = engine === null ? new Promise<never>(() => undefined) : died(engine);
    const result = await Promise.race([perform(options, engine), ended, interruption]);
    if (result === 'interrupted') return 130;
    screen.print(result.ok ? 'Every invoice matches.' : 'SOMETHING DOES NOT MATCH: see above.');
    if (options.exit || engine === null) {
      if (engine !== null) screen.print('The engine ends now; without --exit it stays up.');
      return result.ok ? 0 : 1;
    }
    screen.print('', 'The engine stays up. Ctrl-C ends it.');
    await Promise.race([interruption, ended]);
    return result.ok ? 0 : 1;
  } finally {
    screen.clear();
    await engine?.stop();
  }
}

function launch({ dataDir, port }: DemoOptions): EngineProcess {
  let ready = false;
  const engine = startEngine({
    dataDir,
    port,
    onMessage(text) {
      if (!ready) screen.status(`starting: ${text}`);
    },
  });
  engine.ready.then(
    () => (ready = true),
    () => (ready = true),
  );
  return engine;
}

async function perform(options: DemoOptions, engine: EngineProcess | null): Promise<DemoResult> {
  const address = engine === null ? remoteAddress(options) : await whenReady(engine, options);
  const stripe = createClient(address.api, address.apiKey);
  const result =
    options.events === null
      ? await tellStory(stripe, screen)
      : await billFile(stripe, screen, options.events);
  screen.print(...(await renderLinks(address, result.customers)), '');
  return result;
}

async function whenReady(engine: EngineProcess, { dataDir }: DemoOptions): Promise<EngineAddress> {
  const started = Date.now();
  const address = await engine.ready;
  const seconds = ((Date.now() - started) / SECOND_MS).toFixed(1);
  screen.print(`Durabill is up after ${seconds} s: ${address.api}, state in ${dataDir}.`);
  return address;
}

function remoteAddress({ remote }: DemoOptions): EngineAddress {
  if (remote === null) throw new Error('there is no engine');
  return { api: remote.api, apiKey: remote.key, temporalUi: remote.temporalUi };
}

/** Rejects when the engine ends although nobody asked it to. */
async function died(engine: EngineProcess): Promise<never> {
  throw new Error(`the engine has ended (${await engine.ended}); its log is in the data folder`);
}

/** Resolves at the first signal. Somebody who insists need not wait for the engine, which ends by itself. */
function interrupted(): Promise<'interrupted'> {
  return new Promise((resolve) => {
    let first: number | null = null;
    const onSignal = (): void => {
      first ??= Date.now();
      if (Date.now() - first > SAME_SIGNAL_MILLIS) process.exit(130);
      resolve('interrupted');
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  });
}
