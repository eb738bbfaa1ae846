import type { Core } from '../core.js';
import { newId } from '../ids.js';
import type { JsonObject } from '../json.js';
import { type ErrorReport, takeErrorReports } from '../metering/eventErrors.js';
import type { Transaction } from '../storage/db.js';
import { insertThinEvent } from '../storage/thinEvents.js';

const POLL_MS = 1_000;

/**
 * Makes thin events of the refused stream events whose window is over (docs.stripe.com/billing/subscriptions/
 * usage-based/recording-usage-api, "Handle errors"): one a meter, one for names without a meter. Each error is in one
 * event, however many processes look at the same time.
 */
export async function reportMeterErrors(core: Pick<Core, 'db' | 'now'>): Promise<number> {
  for (let made = 0; ; ) {
    const reports = await core.db.transaction(async (tx) => {
      const due = await takeErrorReports(tx, core.now());
      for (const report of due) await emitReport(tx, report, core.now());
      return due;
    });
    if (reports.length === 0) return made;
    made += reports.length;
  }
}

async function emitReport(tx: Transaction, report: ErrorReport, now: number): Promise<void> {
  const { accountId, livemode, meterId } = report;
  await insertThinEvent(tx, accountId, {
    id: newId('event'),
    livemode,
    type: meterId === null ? 'v1.billing.meter.no_meter_found' : 'v1.billing.meter.error_report_triggered',
    createdAt: now,
    related:
      meterId === null ? null : { type: 'billing.meter', id: meterId, url: `/v1/billing/meters/${meterId}` },
    data: reportData(report),
  });
}

function reportData(report: ErrorReport): JsonObject {
  const errors = report.types.reduce((sum, type) => sum + type.count, 0);
  return {
    developer_message_summary:
      errors === 1 ? 'There is 1 invalid event' : `There are ${errors} invalid events`,
    reason: {
      error_count: errors,
      error_types: report.types.map(({ code, count, samples }) => ({
        code,
        error_count: count,
        sample_errors: samples.map(({ message, identifier }) => ({
          error_message: message,
          request: { identifier: identifier ?? '' },
        })),
      })),
    },
    validation_end: new Date(report.windowEnd).toISOString(),
    validation_start: new Date(report.windowStart).toISOString(),
  };
}

/** Reports errors until stopped. */
export function startMeterErrorReports(core: Pick<Core, 'db' | 'now' | 'log'>): { stop(): Promise<void> } {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  const look = async (): Promise<void> => {
    try {
      await reportMeterErrors(core);
    } catch (error) {
      core.log.warn({ err: error }, 'errors of meter events could not be reported; it is tried again');
    }
    if (!stopped) schedule();
  };
  const schedule = (): void => {
    timer = setTimeout(() => {
      running = look();
    }, POLL_MS);
  };
  schedule();
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
