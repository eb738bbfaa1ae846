import { rmSync } from 'node:fs';
import type { TestProject } from 'vitest/node';
import './provided.js';
import { createLogger } from '../../src/logging.js';
import { migrate } from '../../src/storage/migrate.js';
import { startEmbeddedPostgres } from '../../src/storage/embeddedPostgres.js';
import { findTemporalBinary } from '../../src/temporal/binaries.js';
import { startDevServer } from '../../src/temporal/devServer.js';
import { SEARCH_ATTRIBUTES } from '../../src/temporal/names.js';
import { buildWorkflowBundle } from './bundle.js';
import { makeRunDirectory, sweepAbandonedRuns } from './runDirectory.js';

/**
 * One Postgres and one Temporal server for the whole run, a template database and the workflow bundle. Tests get a
 * database and a task queue each, never a server each.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  await sweepAbandonedRuns();
  const logger = createLogger('warn');
  const dataDir = makeRunDirectory('run');
  const onFatal = (error: Error) => {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  };
  const temporalBinary = await findTemporalBinary('temporal', { onProgress });
  const stops: (() => Promise<void>)[] = [];
  const stopAll = async () => {
    await Promise.all(stops.map((stop) => stop()));
    rmSync(dataDir, { recursive: true, force: true });
  };
  try {
    const postgres = await startEmbeddedPostgres({ dataDir, logger, onFatal, unsafeButFast: true });
    stops.push(() => postgres.stop());
    const searchAttributes = SEARCH_ATTRIBUTES;
    const temporal = await startDevServer({
      binary: temporalBinary,
      dataDir,
      searchAttributes,
      logger,
      onFatal,
      inMemory: true,
    });
    stops.push(() => temporal.stop());
    await migrate(postgres.url);
    project.provide('durabill', {
      templateDatabaseUrl: postgres.url,
      postgresMajorVersion: postgres.majorVersion,
      temporalAddress: temporal.address,
      temporalUiUrl: temporal.uiUrl,
      temporalBinary,
      workflowBundle: await buildWorkflowBundle(),
    });
  } catch (error) {
    await stopAll();
    throw error;
  }
  return stopAll;
}

function onProgress(message: string): void {
  process.stderr.write(`${message}\n`);
}
