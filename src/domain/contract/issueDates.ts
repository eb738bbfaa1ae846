import type { Instant, Period } from '../period.js';

/**
 * Where single drafts were moved to, by the keys of their lines or of their statement. A move holds as long as the date
 * that it started from: where the schedule is edited, the new date counts.
 */
export type IssueDates = Readonly<Record<string, { from: Instant; to: Instant }>>;

/** The tiers of a fee share its key. */
export function issueKey(lineKey: string): string {
  return lineKey.split('/tier ')[0] ?? lineKey;
}

/** The key of a usage statement, by its start. */
export function statementKey({ start }: Pick<Period, 'start'>): string {
  return `statement/${start}`;
}

/** The date of a scheduled line whose schedule says `date`. */
export function issueDateOf(dates: IssueDates | undefined, lineKey: string, date: Instant): Instant {
  const moved = dates?.[issueKey(lineKey)];
  return moved?.from === date ? moved.to : date;
}

/** When a usage statement becomes final: a grace after its end, unless it was moved. */
export function statementDate(dates: IssueDates | undefined, period: Period, graceMs: number): Instant {
  const moved = dates?.[statementKey(period)];
  return moved?.from === period.end ? moved.to : period.end + graceMs;
}
