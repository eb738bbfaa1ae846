/** What the measurement of contracts needs of a running engine. */
export interface ContractsWorld {
  readonly api: string;
  readonly apiKey: string;
  /** Events on the big rate card. */
  readonly events: number;
  /** CPU time of the engine's own process since it began. */
  cpuSeconds(): number;
  /** Says what is going on; nothing of it is a result. */
  note(text: string): void;
}

const PATIENCE_MS = 120_000;

/** Sends JSON; answers what came, parsed. Anything but a success is an error with the answer's text. */
export async function call<T>(world: ContractsWorld, path: string, body?: unknown): Promise<T> {
  const headers = { 'content-type': 'application/json' };
  const text = await send(world, path, headers, body === undefined ? undefined : JSON.stringify(body));
  return (text === '' ? {} : JSON.parse(text)) as T;
}

/** Sends a form, as Stripe's dialect takes it. */
export async function callForm<T>(
  world: ContractsWorld,
  path: string,
  fields: Readonly<Record<string, string>>,
): Promise<T> {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  return JSON.parse(await send(world, path, headers, new URLSearchParams(fields).toString())) as T;
}

/** Sends lines of events in one request. All of them must be stored. */
export async function callEvents(world: ContractsWorld, lines: readonly string[]): Promise<void> {
  const headers = { 'content-type': 'application/x-ndjson' };
  const text = await send(world, '/live/v1/events', headers, lines.join('\n'));
  const { stored, results } = JSON.parse(text) as { stored: number; results: unknown[] };
  if (stored === lines.length) return;
  throw new Error(`${stored} of ${lines.length} events were stored: ${JSON.stringify(results[0])}`);
}

async function send(
  world: ContractsWorld,
  path: string,
  headers: Record<string, string>,
  body: string | undefined,
): Promise<string> {
  const answer = await fetch(`${world.api}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${world.apiKey}`, ...headers },
    signal: AbortSignal.timeout(PATIENCE_MS),
    ...(body === undefined ? {} : { body }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text.slice(0, 500)}`);
  return text;
}
