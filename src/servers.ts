import type { Config } from './config.js';
import type { Logger } from './logging.js';
import type { Shutdown } from './shutdown.js';
import type { ServerGaveUpError } from './supervise.js';
import { startEmbeddedPostgres } from './storage/embeddedPostgres.js';
import { findTemporalBinary } from './temporal/binaries.js';
import { startDevServer } from './temporal/devServer.js';
import { SEARCH_ATTRIBUTES } from './temporal/names.js';

export interface Servers {
  readonly databaseUrl: string;
  /** `host:port` of Temporal's gRPC service. */
  readonly temporalAddress: string;
  /** Of the embedded server; an external one's Web UI has an address of its own, which we cannot know. */
  readonly temporalUiUrl: string | null;
}

interface ServersContext {
  readonly logger: Logger;
  readonly shutdown: Shutdown;
  readonly onFatal: (error: ServerGaveUpError) => void;
}

/** Starts the servers that are not given by address, side by side. Each is stopped by the shutdown. */
export async function startServers(config: Config, context: ServersContext): Promise<Servers> {
  // When one fails the other is still waited for: a server that comes up after we have gone would be an orphan.
  const [database, temporal] = await Promise.allSettled([
    databaseUrl(config, context),
    temporalServer(config, context),
  ]);
  if (database.status === 'rejected') throw database.reason as Error;
  if (temporal.status === 'rejected') throw temporal.reason as Error;
  return { databaseUrl: database.value, ...temporal.value };
}

async function databaseUrl(config: Config, context: ServersContext): Promise<string> {
  if (config.databaseUrl !== null) return config.databaseUrl;
  const { logger, shutdown, onFatal } = context;
  const postgres = await startEmbeddedPostgres({ dataDir: config.dataDir, logger, onFatal });
  await shutdown.add('postgres', () => postgres.stop());
  logger.info(
    { port: postgres.port, majorVersion: postgres.majorVersion },
    'embedded Postgres is up: made for trying out; set DATABASE_URL for data you cannot lose',
  );
  return postgres.url;
}

async function temporalServer(
  config: Config,
  context: ServersContext,
): Promise<Omit<Servers, 'databaseUrl'>> {
  if (config.temporal.address !== null)
    return { temporalAddress: config.temporal.address, temporalUiUrl: null };
  const { logger, shutdown, onFatal } = context;
  const onProgress = (text: string) => logger.info(text);
  const binary = await findTemporalBinary('temporal', { onProgress });
  const { dataDir } = config;
  const server = await startDevServer({
    binary,
    dataDir,
    searchAttributes: SEARCH_ATTRIBUTES,
    logger,
    onFatal,
  });
  await shutdown.add('temporal', () => server.stop());
  logger.info({ address: server.address, ui: server.uiUrl }, 'embedded Temporal server is up');
  return { temporalAddress: server.address, temporalUiUrl: server.uiUrl };
}
