import { defineSearchAttributeKey, type SearchAttributePair } from '@temporalio/common';
import type { MeterReading, SubscriptionPlan } from './messages.js';

const ACCOUNT_ID = defineSearchAttributeKey('AccountId', 'KEYWORD');
const CUSTOMER_ID = defineSearchAttributeKey('CustomerId', 'KEYWORD');
const STATUS = defineSearchAttributeKey('SubscriptionStatus', 'KEYWORD');
const PERIOD_END = defineSearchAttributeKey('PeriodEnd', 'DATETIME');
const PRICE_ID = defineSearchAttributeKey('PriceId', 'KEYWORD_LIST');

/** What a subscription is found by in the Temporal UI. */
export function searchAttributes(accountId: string, plan: SubscriptionPlan): SearchAttributePair[] {
  const pairs: SearchAttributePair[] = [
    { key: ACCOUNT_ID, value: accountId },
    { key: CUSTOMER_ID, value: plan.customerId },
    { key: STATUS, value: plan.status },
    { key: PRICE_ID, value: plan.priceIds },
  ];
  if (plan.periodEnd !== null) pairs.push({ key: PERIOD_END, value: new Date(plan.periodEnd) });
  return pairs;
}

/** The panel that the Temporal UI shows of a running subscription (Markdown; costs no history). */
export function currentDetails(
  plan: SubscriptionPlan,
  readings: readonly MeterReading[],
  events: bigint,
): string {
  const usage = plan.items.map((item) => {
    const reading = readings.find(
      (candidate) => candidate.meterId === item.meterId && candidate.periodStart === item.periodStart,
    );
    const value = item.meterId === null ? 'licensed' : (reading?.value ?? '0');
    return `| ${cell(item.label)} | ${value} | ${day(item.periodStart)} | ${day(item.periodEnd)} |`;
  });
  return [
    `**Customer** ${cell(plan.customerName ?? plan.customerId)} (\`${plan.customerId}\`)`,
    '',
    `**Status** ${plan.status} · **period ends** ${plan.periodEnd === null ? '–' : day(plan.periodEnd)}` +
      ` · **next step** ${nextStepText(plan)} · **meter events signalled** ${String(events)}`,
    '',
    '| Item | Usage this period | From | To |',
    '| --- | --- | --- | --- |',
    ...usage,
  ].join('\n');
}

/** What the pending timer waits for. */
export function timerSummary(plan: SubscriptionPlan): string {
  return plan.next === null ? '' : nextStepText(plan);
}

/** Whether `candidate` is a later arrival number than `current`; both are whole numbers in text. */
export function newerWatermark(candidate: string, current: string): boolean {
  return BigInt(candidate) > BigInt(current);
}

function nextStepText({ next }: SubscriptionPlan): string {
  if (next === null) return 'none';
  const what = next.kind === 'finalize' ? `finalize ${next.invoiceId}` : 'period end';
  return `${what} at ${day(next.at)}`;
}

function day(instant: number): string {
  return new Date(instant).toISOString().replace('T', ' ').replace('.000Z', ' UTC');
}

/** Names are the customers' own words: they must not break out of their table cell. */
function cell(text: string): string {
  return text.replace(/[\r\n]+/g, ' ').replace(/[|<>`\\]/g, '\\$&').slice(0, 120);
}
