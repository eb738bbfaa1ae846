import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { UsageError } from '../terminal/usageError.js';

/** How far a file has been sent. Every row up to `rows` has its answer. */
export interface SendState {
  /** The engine that it was sent to. */
  readonly api: string;
  readonly rows: number;
  /** Stands for these rows: if it is another, the file is another. */
  readonly digest: string;
  readonly stored: number;
  readonly duplicate: number;
  readonly refused: number;
}

const VERSION = 1;

/** What is noted, or null without a note or with one that can't be read, which only costs time. */
export function readState(file: string): SendState | null {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new UsageError(`the state file can't be read: ${(error as Error).message}`);
  }
  try {
    const { version, ...state } = JSON.parse(text) as SendState & { version: number };
    return version === VERSION ? state : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Notes it in one step, so that a kill never leaves half a note. Throws UsageError where that is not possible. */
export function writeState(file: string, state: SendState): void {
  try {
    writeFileSync(`${file}.new`, `${JSON.stringify({ version: VERSION, ...state })}\n`);
    renameSync(`${file}.new`, file);
  } catch (error) {
    throw new UsageError(`the state file can't be written (see --state): ${(error as Error).message}`);
  }
}
