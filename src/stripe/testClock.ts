import type { JsonObject } from '../json.js';
import type { TestClockRecord } from '../storage/testClocks.js';
import { unixSeconds } from './values.js';

/** A `test_helpers.test_clock` (docs.stripe.com/api/test_clocks/object). */
export function testClockObject(clock: TestClockRecord): JsonObject {
  return {
    id: clock.id,
    object: 'test_helpers.test_clock',
    created: unixSeconds(clock.createdAt),
    deletes_after: unixSeconds(clock.deletesAfter),
    frozen_time: unixSeconds(clock.frozenTime),
    livemode: false,
    name: clock.name,
    status: clock.status,
    status_details:
      clock.targetTime === null ? {} : { advancing: { target_frozen_time: unixSeconds(clock.targetTime) } },
  };
}
