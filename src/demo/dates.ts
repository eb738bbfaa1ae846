export const SECOND_MS = 1000;
export const MINUTE_MS = 60 * SECOND_MS;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

const DAY = new Intl.DateTimeFormat('en-GB', {
  day: '2-digit',
  month: 'short',
  year: 'numeric',
  timeZone: 'UTC',
});

/** The UTC day: "29 Feb 2028". */
export function dayText(instant: number): string {
  return DAY.format(instant).replace('Sept', 'Sep');
}

/** The UTC minute: "29 Feb 2028 09:00 UTC". */
export function minuteText(instant: number): string {
  return `${dayText(instant)} ${new Date(instant).toISOString().slice(11, 16)} UTC`;
}

/** Whole Unix seconds, the API's unit of time. */
export function unixSeconds(instant: number): number {
  return Math.floor(instant / SECOND_MS);
}
