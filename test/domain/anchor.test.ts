import { describe, expect, it } from 'vitest';
import { BillingError } from '../../src/domain/errors.js';
import {
  type AnchorConfig,
  anchorFromConfig,
  type BillingInterval,
  firstPeriod,
  type IntervalUnit,
  periodAt,
} from '../../src/domain/period.js';
import { utc } from './builders.js';

const every = (count: number, unit: IntervalUnit): BillingInterval => ({ unit, count });
const monthly = every(1, 'month');
const iso = (instant: number) => new Date(instant).toISOString();

/** The first day of each of the first periods, the start included. */
function firstDays(start: number, interval: BillingInterval, config: AnchorConfig, count: number): string[] {
  const anchor = anchorFromConfig(start, interval, config);
  const starts = [start];
  let end = firstPeriod(start, anchor, interval).end;
  while (starts.length < count) {
    starts.push(end);
    end = periodAt(anchor, interval, end).end;
  }
  return starts.map((instant) => iso(instant).slice(0, 10));
}

describe('an anchor from its configuration', () => {
  const start = utc('2026-01-15T10:20:30Z');

  it.each([
    [{ day_of_month: 1 }, '2026-02-01T10:20:30.000Z'],
    [{ day_of_month: 15 }, '2026-01-15T10:20:30.000Z'],
    [{ day_of_month: 15, hour: 10, minute: 20, second: 29 }, '2026-02-15T10:20:29.000Z'],
    [{ day_of_month: 15, hour: 9 }, '2026-02-15T09:20:30.000Z'],
    [{ day_of_month: 15, hour: 11, minute: 0, second: 0 }, '2026-01-15T11:00:00.000Z'],
    [{ day_of_month: 31, hour: 0, minute: 0, second: 0 }, '2026-01-31T00:00:00.000Z'],
    [{ day_of_month: 1, month: 4, hour: null }, '2026-04-01T10:20:30.000Z'],
    [{ day_of_month: 1, month: 1 }, '2027-01-01T10:20:30.000Z'],
  ])('%j from 15 Jan 2026 10:20:30 is %s', (config, expected) => {
    expect(iso(anchorFromConfig(start, monthly, config))).toBe(expected);
  });

  it('keeps the milliseconds of a start whose second it keeps', () => {
    const start = utc('2026-01-15T10:20:30.250Z');
    expect(anchorFromConfig(start, monthly, { day_of_month: 15 })).toBe(start);
    expect(iso(anchorFromConfig(start, monthly, { day_of_month: 15, second: 31 }))).toBe(
      '2026-01-15T10:20:31.000Z',
    );
  });

  it('keeps the last day of the month for good when it starts in a short one', () => {
    const days = firstDays(utc('2026-02-10'), monthly, { day_of_month: 31 }, 5);
    expect(days).toEqual(['2026-02-10', '2026-02-28', '2026-03-31', '2026-04-30', '2026-05-31']);
  });

  it('does so on its own line of months, not on any long month', () => {
    const days = firstDays(utc('2026-02-10'), every(3, 'month'), { day_of_month: 31 }, 4);
    expect(days).toEqual(['2026-02-10', '2026-02-28', '2026-05-31', '2026-08-31']);
  });

  it('starts a full period on a short month’s last day', () => {
    const start = utc('2026-04-30');
    const anchor = anchorFromConfig(start, monthly, { day_of_month: 31 });
    const end = utc('2026-05-31');
    expect(firstPeriod(start, anchor, monthly)).toMatchObject({ start, end, full: { start, end } });
  });

  it('comes back to a leap day', () => {
    const days = firstDays(utc('2026-03-01'), every(1, 'year'), { day_of_month: 29, month: 2 }, 4);
    expect(days).toEqual(['2026-03-01', '2027-02-28', '2028-02-29', '2029-02-28']);
  });

  it.each([
    [{ day_of_month: 0 }, 'day_of_month'],
    [{ day_of_month: 32 }, 'day_of_month'],
    [{ day_of_month: 1.5 }, 'day_of_month'],
    [{ day_of_month: 1, month: 13 }, 'month'],
    [{ day_of_month: 1, hour: 24 }, 'hour'],
    [{ day_of_month: 1, minute: 60 }, 'minute'],
    [{ day_of_month: 1, second: -1 }, 'second'],
  ])('refuses %j', (config, field) => {
    const attempt = () => anchorFromConfig(start, monthly, config);
    expect(attempt).toThrow(BillingError);
    expect(attempt).toThrow(expect.objectContaining({ param: `billing_cycle_anchor_config[${field}]` }));
  });

  it.each(['day', 'week'] as const)('refuses a %s interval', (unit) => {
    expect(() => anchorFromConfig(start, every(1, unit), { day_of_month: 1 })).toThrow(
      expect.objectContaining({ kind: 'invalid', param: 'billing_cycle_anchor_config' }),
    );
  });
});
