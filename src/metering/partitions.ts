import type { Instant } from '../domain/period.js';
import { type Database, sqlState } from '../storage/db.js';

/** One lock for all who make partitions; any number that nobody else takes. */
const LOCK_KEY = 7_283_104_512;
const DUPLICATE_TABLE = '42P07';

/** Storage parameters of tables that only grow: with Postgres' own, they are looked over again and again while they do. */
export const SELDOM_VACUUMED =
  'autovacuum_analyze_scale_factor = 0.5, autovacuum_vacuum_insert_scale_factor = 0.5';

/**
 * The month partitions of `meter_events`, made when an event needs one: test clocks live in any month. A new table is
 * attached, not created in place, because attaching lets others read and write the rest meanwhile.
 */
export interface Partitions {
  /** Makes sure that every instant has its partition. Cheap when it has been seen before. */
  ensure(instants: Iterable<Instant>): Promise<void>;
  /** Forgets what exists, after a partition turned out to be gone. */
  forget(): void;
}

export function createPartitions(db: Database): Partitions {
  const known = new Set<number>();
  return {
    async ensure(instants) {
      const missing = new Set<number>();
      for (const instant of instants) {
        const month = monthOf(instant);
        if (!known.has(month)) missing.add(month);
      }
      for (const month of missing) {
        await createPartition(db, month);
        known.add(month);
      }
    },
    forget() {
      known.clear();
    },
  };
}

/** Months since 1970-01, UTC. */
function monthOf(instant: Instant): number {
  const date = new Date(instant);
  return (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth();
}

async function createPartition(db: Database, month: number): Promise<void> {
  const from = new Date(Date.UTC(1970, month)).toISOString();
  const to = new Date(Date.UTC(1970, month + 1)).toISOString();
  const name = `meter_events_${from.slice(0, 7).replace('-', '_')}`;
  try {
    await db.transaction(async (tx) => {
      await tx.query('select pg_advisory_xact_lock($1)', [LOCK_KEY]);
      const attached = await tx.query(
        `select from pg_inherits where inhparent = 'meter_events'::regclass and inhrelid = to_regclass($1)`,
        [name],
      );
      if (attached.length > 0) return;
      await tx.query(`create table ${name} (like meter_events including all) with (${SELDOM_VACUUMED})`);
      await tx.query(
        `alter table meter_events attach partition ${name} for values from ('${from}') to ('${to}')`,
      );
    });
  } catch (error) {
    if (sqlState(error) !== DUPLICATE_TABLE) throw error;
    throw new Error(`the table ${name} exists but is no partition of meter_events: attach or remove it`);
  }
}
