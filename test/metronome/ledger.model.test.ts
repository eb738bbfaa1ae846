import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestEngine, type TestEngine } from '../support/engine.js';
import { Walk } from './ledgerWalk.js';
import { unlimitedClocks } from './world.js';

/** `npm test` walks short ways from fixed seeds; DURABILL_MODEL_ROUNDS=20 walks as many long ones from others. */
const ROUNDS = Number.parseInt(process.env['DURABILL_MODEL_ROUNDS'] ?? '0', 10);
const LONG = { steps: 150, milliseconds: 600_000 };
const SHORT = { steps: 60, milliseconds: 25_000 };
const first = Math.floor(Math.random() * 1_000_000);
const ways = [
  { seed: 20_261, ...SHORT },
  { seed: 78, ...SHORT },
  ...Array.from({ length: ROUNDS }, (_, round) => ({ seed: first + round, ...LONG })),
];
/** However slow the machine is. */
const STEPS_MIN = 15;

let engine: TestEngine;

beforeAll(async () => {
  engine = await startTestEngine();
  await unlimitedClocks(engine);
});
afterAll(() => engine.stop());

describe('random grants, holds, usage, expiries, renewals and voids', () => {
  // Ends when its steps are done or so much time has passed.
  it.each(ways)(
    'keep every ledger equal to its balance (seed $seed)',
    { timeout: LONG.milliseconds + 100_000 },
    async (way) => {
      const { seed, steps, milliseconds } = way;
      // Half of the ways have late usage, the others renewals.
      const billsLate = seed % 2 === 1;
      const walk = await Walk.begin(engine, seed, billsLate);
      const end = Date.now() + milliseconds;
      let step = 0;
      try {
        for (; step < steps && (step < STEPS_MIN || Date.now() < end); step += 1) {
          await walk.step();
          await walk.check();
        }
      } catch (error) {
        throw new Error(`seed ${seed}, step ${step}:\n${walk.history.join('\n')}`, { cause: error });
      }
      expect(step).toBeGreaterThanOrEqual(STEPS_MIN);
    },
  );
});
