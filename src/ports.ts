import { randomInt } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';

/**
 * Below the range from which Linux (32768+) and most others take the local ports of outgoing connections, so that no
 * connection sits on a server's port while the server restarts.
 */
const LOWEST_PORT = 20_000;
const HIGHEST_PORT = 32_000;
const ATTEMPTS_MAX = 200;

/** Somebody asked for a port that something else listens on. */
export class PortTakenError extends Error {
  constructor(host: string, port: number) {
    super(`port ${port} on ${host} is taken; choose another with --port, or --port 0 for any free one`);
    this.name = 'PortTakenError';
  }
}

/** Whether something can listen on this loopback port now. */
export function isPortFree(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(false);
      else reject(error);
    });
    server.listen({ port, host, exclusive: true }, () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}

/** A loopback port that nothing listens on; the choice is random, so that two engines starting at once seldom meet. */
export async function findFreePort(exclude: ReadonlySet<number> = new Set()): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const port = randomInt(LOWEST_PORT, HIGHEST_PORT);
    if (!exclude.has(port) && (await isPortFree(port))) return port;
  }
  throw new Error(`no free port found between ${LOWEST_PORT} and ${HIGHEST_PORT} on 127.0.0.1`);
}

/**
 * The ports of the named servers: those remembered in `file` where they are free, new ones otherwise. The choice is
 * written back, so that addresses survive a restart.
 */
export async function rememberPorts<Name extends string>(
  file: string,
  names: readonly Name[],
): Promise<Record<Name, number>> {
  const remembered = readRemembered(file);
  const taken = new Set<number>();
  const chosen = {} as Record<Name, number>;
  for (const name of names) {
    const before = remembered[name];
    const reusable = before !== undefined && !taken.has(before) && (await isPortFree(before));
    const port = reusable ? before : await findFreePort(taken);
    taken.add(port);
    chosen[name] = port;
  }
  writeFileSync(`${file}.tmp`, `${JSON.stringify({ ...remembered, ...chosen }, null, 2)}\n`);
  renameSync(`${file}.tmp`, file);
  return chosen;
}

function readRemembered(file: string): Record<string, number> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null) throw new Error(`${file} does not hold a JSON object`);
  return Object.fromEntries(Object.entries(value).filter((entry) => Number.isInteger(entry[1])));
}
