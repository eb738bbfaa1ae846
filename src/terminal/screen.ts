/** Where a command writes: what is to stay goes to `print`, what is going on to `status`. */
export interface Screen {
  print(...lines: string[]): void;
  /** On a terminal one line that is written over; elsewhere a line of its own, at most one in five seconds. */
  status(text: string): void;
  /** Wipes the status line. */
  clear(): void;
}

export interface ScreenOutput {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const QUIET_MILLIS = 5000;
const BAR_CELLS = 24;
const WIDTH_MIN = 40;

export function createScreen(output: ScreenOutput, now: () => number): Screen {
  const interactive = output.isTTY === true;
  let shown = false;
  let lastStatus = { text: '', at: Number.NEGATIVE_INFINITY };

  const clear = (): void => {
    if (shown) output.write('\r\u001b[2K');
    shown = false;
  };
  return {
    clear,
    print(...lines) {
      clear();
      output.write(`${lines.join('\n')}\n`);
    },
    status(text) {
      if (interactive) {
        clear();
        // A terminal that does not know its size says 0.
        output.write(text.slice(0, Math.max(output.columns ?? 0, WIDTH_MIN) - 1));
        shown = true;
        return;
      }
      if (text === lastStatus.text || now() - lastStatus.at < QUIET_MILLIS) return;
      lastStatus = { text, at: now() };
      output.write(`${text}\n`);
    },
  };
}

/** "[########----] 8 of 12". */
export function progressBar(done: number, all: number): string {
  const filled = all === 0 ? BAR_CELLS : Math.floor((done / all) * BAR_CELLS);
  const count = `${done.toLocaleString('en-US')} of ${all.toLocaleString('en-US')}`;
  return `[${'#'.repeat(filled)}${'-'.repeat(BAR_CELLS - filled)}] ${count}`;
}
