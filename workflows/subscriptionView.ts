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
    const value = item.meterId === null ? 'licensed' : `**${reading?.value ?? '0'}** used`;
    return `- ${plain(item.label)}: ${value}, ${day(item.periodStart)} to ${day(item.periodEnd)}`;
  });
  return [
    `- Customer: **${plain(plan.customerName ?? plan.customerId)}** (\`${plan.customerId}\`)`,
    `- Status: **${plan.status}**`,
    `- Period ends: ${plan.periodEnd === null ? 'never again' : `**${day(plan.periodEnd)}**`}`,
    `- Next step: ${nextStepText(plan)}`,
    '',
    `Usage of the open period, of ${String(events)} meter events told so far:`,
    '',
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
  return `${what} at ${day(next.at)} UTC`;
}

/** `2027-02-28 10:00`, with the seconds where there are any; all times are UTC. */
function day(instant: number): string {
  return new Date(instant)
    .toISOString()
    .replace('T', ' ')
    .replace(/(:00)?\.000Z$/, '');
}

/** Names are the customers' own words: they are shown, never obeyed. */
function plain(text: string): string {
  return Array.from(text)
    .slice(0, 120)
    .join('')
    .replace(/\s+/g, ' ')
    .replace(/[\\`*_{}[\]()<>#+!|~&:.-]/g, '\\$&');
}
