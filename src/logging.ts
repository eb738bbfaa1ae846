import pino from 'pino';
import type { Logger } from 'pino';

export type { Logger } from 'pino';

/** Severity names of pino, from the chattiest; `silent` writes nothing. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

export type LogLevel = (typeof LOG_LEVELS)[number];

/** Paths whose values never reach a log line. */
const SECRET_PATHS = [
  'apiKey',
  'authorization',
  'password',
  'headers.authorization',
  '*.apiKey',
  '*.password',
];

/**
 * The logger of a process: JSON lines on stderr, so that stdout stays free for the ready line and for results.
 * Writes are synchronous: the last lines before a crash are the ones that matter.
 */
export function createLogger(level: LogLevel = 'info'): Logger {
  return pino(
    { level, base: { pid: process.pid }, redact: SECRET_PATHS, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  );
}
