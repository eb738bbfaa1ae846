import { type BillingError, invalid, notFound } from '../domain/errors.js';
import { newId } from '../ids.js';
import { type Queryable, isUniqueViolation } from '../storage/db.js';
import {
  type MeterRecord,
  findActiveMeterByEventName,
  findMeter,
  insertMeter,
  updateMeter,
} from '../storage/meters.js';
import { meterObject } from '../stripe/meter.js';
import { type ChangeContext, emitChange, emitUpdate } from './catalogue.js';
import { wallSecond } from './clock.js';

export type NewMeter = Pick<
  MeterRecord,
  'displayName' | 'eventName' | 'formula' | 'eventTimeWindow' | 'customerKey' | 'valueKey'
>;

/** The meter. `param` is the request parameter that names it; `id` where the URL does. */
export async function requireMeter(
  q: Queryable,
  accountId: string,
  id: string,
  param = 'id',
  lock: 'share' | 'update' | 'none' = 'none',
): Promise<MeterRecord> {
  const meter = await findMeter(q, accountId, id, lock);
  if (meter === null) throw notFound('meter', id, param);
  return meter;
}

/** Creates a meter. An event name belongs to one active meter at a time, so that an event counts once. */
export async function createMeter(ctx: ChangeContext, input: NewMeter): Promise<MeterRecord> {
  const now = wallSecond(ctx.core);
  const meter: MeterRecord = {
    ...input,
    id: newId('meter'),
    livemode: ctx.livemode,
    createdAt: now,
    updatedAt: now,
    status: 'active',
    deactivatedAt: null,
  };
  if (!(await insertMeter(ctx.tx, ctx.accountId, meter))) throw eventNameTaken(meter.eventName);
  await emitChange(ctx, 'billing.meter.created', meterObject(meter), now);
  return meter;
}

/** Renames a meter; nothing else of it can change. */
export async function renameMeter(
  ctx: ChangeContext,
  id: string,
  displayName: string | undefined,
): Promise<MeterRecord> {
  const before = await requireMeter(ctx.tx, ctx.accountId, id, 'id', 'update');
  if (displayName === undefined || displayName === before.displayName) return before;
  return storeChange(ctx, before, { ...before, displayName }, 'billing.meter.updated');
}

/** From now on the meter takes no events and no new prices. What it has counted stays and is billed. Repeatable. */
export async function deactivateMeter(ctx: ChangeContext, id: string): Promise<MeterRecord> {
  const before = await requireMeter(ctx.tx, ctx.accountId, id, 'id', 'update');
  if (before.status === 'inactive') return before;
  const after: MeterRecord = { ...before, status: 'inactive', deactivatedAt: wallSecond(ctx.core) };
  return storeChange(ctx, before, after, 'billing.meter.deactivated');
}

/** Takes events again, unless another meter has taken over the event name. Repeatable. */
export async function reactivateMeter(ctx: ChangeContext, id: string): Promise<MeterRecord> {
  const before = await requireMeter(ctx.tx, ctx.accountId, id, 'id', 'update');
  if (before.status === 'active') return before;
  if ((await findActiveMeterByEventName(ctx.tx, ctx.accountId, before.eventName)) !== null) {
    throw eventNameTaken(before.eventName);
  }
  const after: MeterRecord = { ...before, status: 'active', deactivatedAt: null };
  return storeChange(ctx, before, after, 'billing.meter.reactivated');
}

async function storeChange(
  ctx: ChangeContext,
  before: MeterRecord,
  changed: MeterRecord,
  type: string,
): Promise<MeterRecord> {
  const after = { ...changed, updatedAt: wallSecond(ctx.core) };
  await updateMeter(ctx.tx, ctx.accountId, after).catch((error: unknown) => {
    throw isUniqueViolation(error, 'meters_event_name') ? eventNameTaken(after.eventName) : error;
  });
  await emitUpdate(ctx, type, meterObject(before), meterObject(after), after.updatedAt);
  return after;
}

function eventNameTaken(eventName: string): BillingError {
  return invalid(`An active meter already uses the event name "${eventName}".`, {
    code: 'resource_already_exists',
    param: 'event_name',
  });
}
