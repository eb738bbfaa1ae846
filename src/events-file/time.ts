const SECOND_MS = 1000;
const ISO =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d+)?)?)?\s*(Z|UTC|[+-]\d\d:?\d\d)?$/i;
const EPOCH = /^(\d{9,19})(?:\.\d+)?$/;

/**
 * ISO 8601 with or without `T` (UTC where no zone is given), or Unix time in seconds, milliseconds, microseconds or
 * nanoseconds by its number of digits. Returns epoch ms cut to the second, or null.
 */
export function parseTime(text: string): number | null {
  const epoch = EPOCH.exec(text);
  if (epoch !== null) return fromEpoch(epoch[1] ?? '');
  const match = ISO.exec(text);
  if (match === null) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match
    .slice(1, 7)
    .map((part: string | undefined) => (part === undefined ? 0 : Number.parseInt(part, 10)));
  const time = Date.UTC(year, month - 1, day, hour, minute, second);
  const read = new Date(time);
  const same = read.getUTCMonth() === month - 1 && read.getUTCDate() === day && read.getUTCHours() === hour;
  if (!same || minute > 59 || second > 59) return null;
  return time - zoneOffset(match[7]);
}

function fromEpoch(digits: string): number {
  const seconds =
    digits.length <= 11 ? digits : digits.slice(0, digits.length <= 14 ? -3 : digits.length <= 17 ? -6 : -9);
  return Number.parseInt(seconds, 10) * SECOND_MS;
}

function zoneOffset(zone: string | undefined): number {
  const match = /^([+-])(\d\d):?(\d\d)$/.exec(zone ?? '');
  if (match === null) return 0;
  const [, sign, hours = '0', minutes = '0'] = match;
  const size = (Number.parseInt(hours, 10) * 60 + Number.parseInt(minutes, 10)) * 60 * SECOND_MS;
  return sign === '-' ? -size : size;
}
