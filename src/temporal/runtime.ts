import { DefaultLogger, Runtime } from '@temporalio/worker';
import type { LogLevel as SdkLevel } from '@temporalio/worker';
import type { Logger } from '../logging.js';

type Write = (logger: Logger, fields: object, message: string) => void;

const WRITE: Readonly<Record<SdkLevel, Write>> = {
  TRACE: (logger, fields, message) => logger.trace(fields, message),
  DEBUG: (logger, fields, message) => logger.debug(fields, message),
  INFO: (logger, fields, message) => logger.info(fields, message),
  WARN: (logger, fields, message) => logger.warn(fields, message),
  ERROR: (logger, fields, message) => logger.error(fields, message),
};

/**
 * Puts the Temporal SDK's log lines into ours and leaves signals to us: its own handlers would stop the worker while
 * requests that need it are still being answered. Once a process, before anything else of the SDK's worker.
 */
export function installTemporalRuntime(logger: Logger): void {
  Runtime.install({
    shutdownSignals: [],
    logger: new DefaultLogger('INFO', ({ level, message, meta }) => {
      WRITE[level](logger, { ...meta, from: 'temporal-sdk' }, message);
    }),
    // The native part warns at every retried call while a server is away; what comes of it is reported by the callers.
    telemetryOptions: { logging: { forward: {}, filter: { core: 'ERROR', other: 'ERROR' } } },
  });
}
