import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Client } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';

const FOLDER = fileURLToPath(new URL('../golden/histories/', import.meta.url));

/**
 * Keeps the history of a workflow, its latest run unless told otherwise, as a golden file when DURABILL_RECORD=1.
 * Recorded once for each released shape of a workflow; `replay.test.ts` proves that newer code still replays them.
 */
export async function record(
  client: Client,
  workflowId: string,
  name: string,
  runId?: string,
): Promise<void> {
  if (process.env['DURABILL_RECORD'] !== '1') return;
  const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(`${FOLDER}${name}.json`, `${JSON.stringify(JSON.parse(historyToJSON(history)))}\n`);
}

/** The recorded histories by name, as the JSON that the worker replays. */
export function recordedHistories(): { name: string; history: unknown }[] {
  if (!existsSync(FOLDER)) return [];
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => ({
      name: file.replace('.json', ''),
      history: JSON.parse(readFileSync(FOLDER + file, 'utf8')) as unknown,
    }));
}
