import { setTimeout as sleep } from 'node:timers/promises';
import { UsageError } from '../terminal/usageError.js';

/** The engine was away for longer than the user's patience. Everything is noted: a second run goes on. */
export class UnavailableError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UnavailableError';
  }
}

/** What became of a batch. `refused` is by place in the batch. */
export interface BatchAnswer {
  readonly stored: number;
  readonly duplicate: number;
  readonly refused: readonly { readonly index: number; readonly code: string; readonly message: string }[];
}

export interface PosterDeps {
  readonly api: string;
  readonly key: string;
  readonly patienceMs: number;
  /** Aborted: nobody waits any longer for an engine that is away. */
  readonly interrupt: AbortSignal;
  /** Told when the engine does not answer, before it is asked again. */
  onWaiting(why: string): void;
  fetch?: typeof fetch;
}

interface EventBatch {
  stored: number;
  duplicate: number;
  results: { index: number; status: 'duplicate' | 'refused'; code?: string; message?: string }[];
}

const REQUEST_MS_MAX = 60_000;
const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 5_000;

/**
 * Sends a batch until it is answered: a batch that is sent again counts once, so whatever is unclear is sent again. A
 * batch that is refused whole is halved until the row at fault is found. Throws UsageError when the key or the address
 * is wrong, UnavailableError when patience runs out.
 */
export async function postBatch(deps: PosterDeps, lines: readonly string[]): Promise<BatchAnswer> {
  const answer = await postUntilAnswered(deps, lines);
  if (!('problem' in answer)) return answer;
  if (lines.length === 1) {
    return { stored: 0, duplicate: 0, refused: [{ index: 0, code: answer.code, message: answer.problem }] };
  }
  const middle = Math.ceil(lines.length / 2);
  const first = await postBatch(deps, lines.slice(0, middle));
  const second = await postBatch(deps, lines.slice(middle));
  return {
    stored: first.stored + second.stored,
    duplicate: first.duplicate + second.duplicate,
    refused: [...first.refused, ...second.refused.map((one) => ({ ...one, index: one.index + middle }))],
  };
}

type Refusal = { readonly problem: string; readonly code: string };

async function postUntilAnswered(deps: PosterDeps, lines: readonly string[]): Promise<BatchAnswer | Refusal> {
  const body = `${lines.join('\n')}\n`;
  const since = Date.now();
  for (let pause = PAUSE_MS_MIN; ; pause = Math.min(pause * 2, PAUSE_MS_MAX)) {
    const tried = await post(deps, body);
    if (!('again' in tried)) return tried;
    if (deps.interrupt.aborted || Date.now() - since > deps.patienceMs)
      throw new UnavailableError(tried.again);
    deps.onWaiting(tried.again);
    await sleep(Math.max(pause, tried.afterMs));
  }
}

async function post(
  deps: PosterDeps,
  body: string,
): Promise<BatchAnswer | Refusal | { again: string; afterMs: number }> {
  let response: Response;
  let text: string;
  try {
    response = await (deps.fetch ?? fetch)(`${deps.api}/live/v1/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${deps.key}`, 'content-type': 'application/x-ndjson' },
      body,
      signal: AbortSignal.timeout(REQUEST_MS_MAX),
    });
    text = await response.text();
  } catch (error) {
    return { again: `${deps.api} does not answer (${reasonOf(error)})`, afterMs: 0 };
  }
  const { status } = response;
  if (status === 200) {
    const batch = JSON.parse(text) as EventBatch;
    // Some were stored and some could not be just now. Every line has an identifier, so all of them may go again.
    const later = batch.results.find(({ code: reason }) => reason === 'unavailable');
    if (later !== undefined)
      return { again: `${deps.api} is busy (${later.message ?? 'unavailable'})`, afterMs: 0 };
    return answerOf(batch);
  }
  const { message, code } = errorOf(text, status);
  if (status === 400 || status === 413) return { problem: message, code };
  if (status === 408 || status === 409 || status === 429 || status >= 500) {
    const seconds = Number.parseInt(response.headers.get('retry-after') ?? '0', 10);
    return {
      again: `${deps.api} is busy (${message})`,
      afterMs: (Number.isNaN(seconds) ? 0 : seconds) * 1000,
    };
  }
  throw new UsageError(`${deps.api} refuses to take events: ${message}`);
}

function answerOf({ stored, duplicate, results }: EventBatch): BatchAnswer {
  const refused = results
    .filter(({ status }) => status === 'refused')
    .map(({ index, code = 'refused', message = '' }) => ({ index, code, message }));
  return { stored, duplicate, refused };
}

function errorOf(text: string, status: number): { message: string; code: string } {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: string; code?: string } };
    return { message: error?.message ?? `HTTP ${status}`, code: error?.code ?? `http_${status}` };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { message: `HTTP ${status}`, code: `http_${status}` };
  }
}

/** fetch hides what went wrong in the cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : String(cause);
}
