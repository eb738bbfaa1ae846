-- What late usage of a contract's final statements is told by. One row for each contract with a rate card.
create table contract_late_usage (
  account_id text collate "C" not null,
  contract_id uuid not null,
  customer_id text collate "C" not null,
  -- The end of the first open statement and when its grace is over; null when there will be none.
  next_end timestamptz,
  next_at timestamptz,
  -- Usage of before is late: the end of the last statement that is final or about to be.
  closing_through timestamptz,
  -- Grows with every batch that brought late usage; what is billed or dropped was noticed before.
  noticed bigint not null default 0,
  billed bigint not null default 0,
  -- When the late statement of a contract that has no other one left becomes final.
  due_at timestamptz,
  late_statements integer not null default 0,
  primary key (account_id, contract_id),
  foreign key (account_id, contract_id) references contracts (account_id, id)
) with (fillfactor = 70);
create index contract_late_usage_by_customer on contract_late_usage (account_id, customer_id);

-- The usage that each usage invoice has counted: of its own statement, and what came late for earlier ones.
create table contract_counted_usage (
  account_id text collate "C" not null,
  contract_id uuid not null,
  period_start timestamptz not null,
  period_end timestamptz not null,
  invoice_id uuid not null,
  document jsonb not null,
  primary key (account_id, contract_id, period_start, invoice_id),
  foreign key (account_id, invoice_id) references contract_invoices (account_id, id)
);
create index contract_counted_usage_by_invoice on contract_counted_usage (account_id, invoice_id);
