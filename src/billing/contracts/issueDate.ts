import type { ContractRecord } from '../../domain/contract/contract.js';
import type { DraftInvoice } from '../../domain/contract/draft.js';
import { type IssueDates, issueKey, statementKey } from '../../domain/contract/issueDates.js';
import { invalid, notFound } from '../../domain/errors.js';
import type { Instant } from '../../domain/period.js';
import { findContractInvoice } from '../../storage/contractInvoices.js';
import { updateContract } from '../../storage/contracts.js';
import { lockContract } from './changes.js';
import type { ContractChange } from './create.js';
import { openInvoices } from './open.js';
import { contractsChanged } from './plan.js';

/**
 * Moves one draft to another date, on which it becomes final; its id stays, and so do the schedules and the drafts that
 * follow. Not beyond the contract's end, and a usage statement not before its own
 * (docs.metronome.com/api-reference/contracts/update-invoice-issue-date).
 */
export async function moveIssueDate(change: ContractChange, invoiceId: string, to: Instant): Promise<void> {
  const { tx, core, accountId, customer, now } = change;
  const { drafts } = await openInvoices(tx, core, accountId, customer, { at: now });
  const draft = drafts.find((one) => one.invoiceId === invoiceId);
  if (draft === undefined) throw await noDraft(change, invoiceId);
  if (draft.isLate === true)
    throw invalid("Invalid 'invoice_id': it has late usage alone and cannot be moved.");
  const contract = await lockContract(change, draft.contractId);
  if (contract.endingBefore !== null && to > contract.endingBefore) {
    throw invalid("Invalid 'issue_date': is after the contract's end.");
  }
  if (draft.period !== null && to < draft.period.end) {
    throw invalid("Invalid 'issue_date': is before the end of the invoice's period.");
  }
  const issueDates = { ...contract.document.issueDates, ...movesOf(draft, contract, to) };
  const moved = { ...contract, document: { ...contract.document, issueDates } };
  await updateContract(tx, accountId, moved, now);
  await contractsChanged(tx, core, accountId, customer, now);
}

async function noDraft({ tx, accountId, customer }: ContractChange, invoiceId: string): Promise<Error> {
  const final = await findContractInvoice(tx, accountId, invoiceId);
  return final?.customerId === customer.id
    ? invalid(`Invalid 'invoice_id': invoice ${invoiceId} is no draft any more.`)
    : notFound('invoice', invoiceId, 'invoice_id');
}

function movesOf(
  { period, lines, issuedAt }: DraftInvoice,
  { document }: ContractRecord,
  to: Instant,
): IssueDates {
  if (period !== null) return { [statementKey(period)]: { from: period.end, to } };
  return Object.fromEntries(
    lines.map((line) => {
      const key = issueKey(line.key);
      const before = document.issueDates?.[key];
      // Of a draft that was moved before, the date of the schedule is known from then.
      return [key, { from: before?.to === issuedAt ? before.from : issuedAt, to }];
    }),
  );
}
