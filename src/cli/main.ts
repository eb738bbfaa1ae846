#!/usr/bin/env node
// The command line: a client like any other, over HTTP.
import { createScreen, type Screen } from '../terminal/screen.js';
import { UsageError } from '../terminal/usageError.js';
import { HELP, parseCommand, type SendOptions } from './args.js';
import { UnavailableError } from './poster.js';
import { type Progress, sendFile, type SendResult } from './send.js';

const EXIT = { done: 0, refused: 1, usage: 2, unavailable: 3, interrupted: 130 } as const;
const BAR_CELLS = 24;
const REFUSALS_SHOWN = 20;

// What goes on is shown on stderr; stdout belongs to the result.
const screen = createScreen(process.stderr, () => Date.now());
process.exitCode = await run(screen);

async function run(output: Screen): Promise<number> {
  try {
    const options = parseCommand(
      process.argv.slice(2),
      process.env,
      process.env['INIT_CWD'] ?? process.cwd(),
    );
    if (options !== 'help') return await send(output, options);
    process.stdout.write(HELP);
    return EXIT.done;
  } catch (error) {
    output.clear();
    if (error instanceof UsageError) {
      process.stderr.write(`${error.message}\n`);
      return EXIT.usage;
    }
    if (error instanceof UnavailableError) {
      process.stderr.write(`${error.message}; run the command again, it goes on where it was\n`);
      return EXIT.unavailable;
    }
    throw error;
  }
}

async function send(output: Screen, options: SendOptions): Promise<number> {
  const result = await sendFile(options, {
    interrupt: interruption(),
    onProgress: (progress) => output.status(progressText(progress)),
    onWaiting: (why) => output.status(`waiting: ${why}`),
  });
  output.clear();
  process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : resultText(result));
  if (!result.complete) return EXIT.interrupted;
  return result.refused > 0 ? EXIT.refused : EXIT.done;
}

function progressText({ rows, share, rate, refused }: Progress): string {
  const filled = Math.floor(share * BAR_CELLS);
  const bar = `[${'#'.repeat(filled)}${'-'.repeat(BAR_CELLS - filled)}] ${Math.floor(share * 100)} %`;
  const counts = `${whole(rows)} events, ${whole(Math.round(rate))}/s`;
  return `${bar}  ${counts}${refused === 0 ? '' : `, ${whole(refused)} refused`}`;
}

function resultText(result: SendResult): string {
  const { rows, skipped, stored, duplicate, refused, seconds, rate, refusals, complete } = result;
  const shown = refusals.slice(0, REFUSALS_SHOWN).map(({ line, message }) => `  line ${line}: ${message}`);
  const more = refused - shown.length;
  return [
    ...(refused > 0 ? [`Rows refused: ${whole(refused)}`, ...shown] : []),
    ...(shown.length > 0 && more > 0 ? [`  and ${whole(more)} more`] : []),
    ...(skipped > 0 ? [`${whole(skipped)} rows had been sent before.`] : []),
    `${whole(rows)} rows: ${whole(stored)} stored, ${whole(duplicate)} there already, ${whole(refused)} refused; ` +
      `${seconds.toFixed(1)} s, ${whole(rate)} events/s.`,
    ...(complete ? [] : ['Interrupted: run the command again, it goes on where it was.']),
    '',
  ].join('\n');
}

function whole(count: number): string {
  return count.toLocaleString('en-US');
}

/** The first signal ends it in good order, a second one at once. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(EXIT.interrupted);
      controller.abort();
    });
  }
  return controller.signal;
}
