import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { SubscriptionRef } from '../../src/core.js';
import type { BillingWorld } from './billingWorld.js';

const FOLDER = fileURLToPath(new URL('../golden/histories/', import.meta.url));

/**
 * Keeps the history of a subscription's workflow as a golden file when DURABILL_RECORD=1. Recorded once for each
 * released shape of a workflow; `replay.test.ts` proves that newer code still replays them.
 */
export async function record(world: BillingWorld, ref: SubscriptionRef, name: string): Promise<void> {
  if (process.env['DURABILL_RECORD'] !== '1') return;
  const history = await world.client.workflow.getHandle(world.workflowId(ref)).fetchHistory();
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(`${FOLDER}${name}.json`, `${historyToJSON(history)}\n`);
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
