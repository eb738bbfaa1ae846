import type { BalanceRecord } from '../domain/contract/contract.js';
import type { Instant } from '../domain/period.js';
import { type Queryable, timestamp } from './db.js';
import { fromDocument, toDocument } from './documents.js';

export type ThresholdKind = 'prepaid' | 'spend';

/** A purchase of a threshold that waits for its payment, or has had its answer. */
export interface ThresholdPayment {
  /** The workflow_id of payment_gate events. */
  id: string;
  customerId: string;
  contractId: string;
  kind: ThresholdKind;
  status: 'pending' | 'paid' | 'failed';
  /** The commit to make once it is paid. */
  balance: BalanceRecord;
  createdAt: Instant;
}

const COLUMNS = `id, customer_id as "customerId", contract_id as "contractId", kind, status, balance,
  created_at as "createdAt"`;

type Row = Omit<ThresholdPayment, 'balance'> & { balance: unknown };

const read = ({ balance, ...row }: Row): ThresholdPayment => ({
  ...row,
  balance: fromDocument(balance) as BalanceRecord,
});

export async function insertThresholdPayment(
  q: Queryable,
  accountId: string,
  payment: ThresholdPayment,
): Promise<void> {
  await q.query(
    `insert into threshold_payments (account_id, id, customer_id, contract_id, kind, status, balance, created_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [
      accountId,
      payment.id,
      payment.customerId,
      payment.contractId,
      payment.kind,
      payment.status,
      toDocument(payment.balance),
      timestamp(payment.createdAt),
    ],
  );
}

/** The purchases of a customer that wait. */
export async function findPendingPayments(
  q: Queryable,
  accountId: string,
  contractIds: readonly string[],
): Promise<ThresholdPayment[]> {
  if (contractIds.length === 0) return [];
  const rows = await q.query<Row>(
    `select ${COLUMNS} from threshold_payments
     where account_id = $1 and contract_id = any($2::uuid[]) and status = 'pending'`,
    [accountId, contractIds],
  );
  return rows.map(read);
}

export async function findThresholdPayment(
  q: Queryable,
  accountId: string,
  id: string,
): Promise<ThresholdPayment | null> {
  const rows = await q.query<Row>(
    `select ${COLUMNS} from threshold_payments where account_id = $1 and id = $2`,
    [accountId, id],
  );
  return rows[0] === undefined ? null : read(rows[0]);
}

/** Records the answer. False when there was one before. */
export async function closeThresholdPayment(
  q: Queryable,
  accountId: string,
  id: string,
  outcome: 'paid' | 'failed',
  at: Instant,
): Promise<boolean> {
  const rows = await q.query<{ id: string }>(
    `update threshold_payments set status = $3, closed_at = $4
     where account_id = $1 and id = $2 and status = 'pending' returning id`,
    [accountId, id, outcome, timestamp(at)],
  );
  return rows.length > 0;
}
