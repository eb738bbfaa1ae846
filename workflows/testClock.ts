import { proxyActivities } from '@temporalio/workflow';
import type { TestClockActivities } from '../activities/testClock.js';
import type { TestClockInput } from './messages.js';

const { advanceToTarget } = proxyActivities<TestClockActivities>({
  startToCloseTimeout: '6 hours',
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '500 ms', maximumInterval: '10 seconds' },
});

const { failAdvance } = proxyActivities<TestClockActivities>({
  startToCloseTimeout: '1 minute',
  retry: { maximumInterval: '1 minute' },
});

/**
 * One advance of a test clock: moves it from due instant to due instant and lets each subscription do its work there,
 * in order of time, by the same workflows that run on wall time. A clock whose advance can't go on fails for good.
 */
export async function testClock(input: TestClockInput): Promise<void> {
  try {
    await advanceToTarget(input);
  } catch (error) {
    await failAdvance(input);
    throw error;
  }
}
