-- The real-time half: metrics, products, rate cards, contracts, commits and credits, their invoices, alerts, holds.
-- Terms are kept as documents in the words of the dialect that made them; what is searched, counted or locked is a
-- column. Amounts inside documents are exact decimals as text, in the stored unit of their pricing unit.

-- One customer for both dialects: the id is Stripe's, the uuid Metronome's.
alter table customers add column uuid uuid not null default gen_random_uuid();
alter table customers add column archived_at timestamptz;
create unique index customers_uuid on customers (account_id, uuid);

-- Other names under which events are sent for a customer. A Stripe id is always one and needs no row.
create table ingest_aliases (
  account_id text collate "C" not null,
  alias text collate "C" not null,
  customer_id text collate "C" not null,
  position integer not null default 0,
  primary key (account_id, alias),
  foreign key (account_id, customer_id) references customers (account_id, id)
);
create index ingest_aliases_by_customer on ingest_aliases (account_id, customer_id, position);

-- Custom pricing units; currencies are constants of the code.
create table pricing_units (
  account_id text collate "C" not null references accounts,
  id uuid not null,
  name text not null,
  created_at timestamptz not null,
  primary key (account_id, id),
  unique (account_id, name)
);

create table billable_metrics (
  account_id text collate "C" not null references accounts,
  id uuid not null,
  name text not null,
  definition jsonb not null,
  custom_fields jsonb not null default '{}',
  created_at timestamptz not null,
  archived_at timestamptz,
  primary key (account_id, id)
);

create table contract_products (
  account_id text collate "C" not null references accounts,
  id uuid not null,
  type text not null check (type in ('USAGE', 'SUBSCRIPTION', 'COMPOSITE', 'FIXED', 'PRO_SERVICE')),
  -- The versions in order of starting_at, each complete: [{starting_at, name, billable_metric_id, …}].
  versions jsonb not null,
  custom_fields jsonb not null default '{}',
  created_at timestamptz not null,
  archived_at timestamptz,
  primary key (account_id, id)
);

create table rate_cards (
  account_id text collate "C" not null references accounts,
  id uuid not null,
  name text not null,
  description text,
  fiat_credit_type_id uuid not null,
  -- [{custom_credit_type_id, fiat_per_custom_credit}]
  conversions jsonb not null default '[]',
  -- [{name, starting_at, ending_before}]
  aliases jsonb not null default '[]',
  custom_fields jsonb not null default '{}',
  created_at timestamptz not null,
  archived_at timestamptz,
  primary key (account_id, id)
);

create table rates (
  account_id text collate "C" not null,
  rate_card_id uuid not null,
  -- Later rows win where two are in force: the order in which they were added.
  sequence bigint generated always as identity,
  product_id uuid not null,
  pricing_group_values jsonb not null default '{}',
  billing_frequency text,
  starting_at timestamptz not null,
  ending_before timestamptz,
  entitled boolean not null,
  rate jsonb not null,
  commit_rate jsonb,
  primary key (account_id, rate_card_id, sequence),
  foreign key (account_id, rate_card_id) references rate_cards (account_id, id)
);
create index rates_by_product on rates (account_id, rate_card_id, product_id);

create table contracts (
  account_id text collate "C" not null references accounts,
  id uuid not null,
  customer_id text collate "C" not null,
  test_clock_id text collate "C",
  rate_card_id uuid,
  name text,
  starting_at timestamptz not null,
  ending_before timestamptz,
  uniqueness_key text,
  -- The terms as of now; every edit keeps what they were in contract_edits.
  terms jsonb not null,
  custom_fields jsonb not null default '{}',
  created_at timestamptz not null,
  archived_at timestamptz,
  -- As for subscriptions: when the workflow has work next, and whether it was seen to run.
  next_due_at timestamptz,
  workflow_started_at timestamptz,
  inserted_at timestamptz not null default now(),
  primary key (account_id, id),
  foreign key (account_id, customer_id) references customers (account_id, id)
);
create unique index contracts_uniqueness on contracts (account_id, uniqueness_key) where uniqueness_key is not null;
create index contracts_by_customer on contracts (account_id, customer_id, starting_at);
create index contracts_due on contracts (next_due_at) where next_due_at is not null;
create index contracts_due_on_clock on contracts (account_id, test_clock_id, next_due_at)
  where test_clock_id is not null and next_due_at is not null;
create index contracts_unstarted on contracts (inserted_at) where workflow_started_at is null;

create table contract_edits (
  account_id text collate "C" not null,
  contract_id uuid not null,
  id uuid not null,
  sequence bigint generated always as identity,
  at timestamptz not null,
  uniqueness_key text,
  edit jsonb not null,
  -- The terms before it, for as-of reads.
  terms_before jsonb not null,
  primary key (account_id, contract_id, sequence),
  foreign key (account_id, contract_id) references contracts (account_id, id)
);
create unique index contract_edits_uniqueness on contract_edits (account_id, uniqueness_key)
  where uniqueness_key is not null;

-- Commits and credits, of a contract or of a customer. The grants of recurring ones are computed, and get a row when
-- the first fact about them is written.
create table balances (
  account_id text collate "C" not null,
  id uuid not null,
  customer_id text collate "C" not null,
  contract_id uuid,
  type text not null check (type in ('PREPAID', 'POSTPAID', 'CREDIT')),
  recurring_id uuid,
  uniqueness_key text,
  terms jsonb not null,
  custom_fields jsonb not null default '{}',
  created_at timestamptz not null,
  archived_at timestamptz,
  primary key (account_id, id),
  foreign key (account_id, customer_id) references customers (account_id, id)
);
create index balances_by_customer on balances (account_id, customer_id, created_at);
create unique index balances_uniqueness on balances (account_id, uniqueness_key) where uniqueness_key is not null;

-- Facts about balances, append-only: deductions of finalized invoices, manual entries, roll-overs, true-ups, what voids
-- gave back. What follows from the terms (segment starts, expiry) is computed.
create table balance_entries (
  account_id text collate "C" not null,
  balance_id uuid not null,
  sequence bigint generated always as identity,
  type text not null,
  segment_id uuid not null,
  at timestamptz not null,
  amount numeric not null,
  invoice_id uuid,
  contract_id uuid,
  new_contract_id uuid,
  reason text,
  primary key (account_id, balance_id, sequence)
);
create index balance_entries_by_invoice on balance_entries (account_id, invoice_id) where invoice_id is not null;

-- Finalized and voided invoices of contracts. Drafts are computed at the read and have no row.
create table contract_invoices (
  account_id text collate "C" not null,
  id uuid not null,
  customer_id text collate "C" not null,
  contract_id uuid not null,
  type text not null check (type in ('USAGE', 'SCHEDULED')),
  status text not null check (status in ('FINALIZED', 'VOID')),
  period_start timestamptz,
  period_end timestamptz,
  issued_at timestamptz not null,
  credit_type_id uuid not null,
  total numeric not null,
  document jsonb not null,
  finalized_at timestamptz not null,
  voided_at timestamptz,
  regenerated_from uuid,
  primary key (account_id, id)
);
create index contract_invoices_by_customer on contract_invoices (account_id, customer_id, issued_at);
create index contract_invoices_by_contract on contract_invoices (account_id, contract_id, type, period_end);

create table threshold_alerts (
  account_id text collate "C" not null references accounts,
  id uuid not null,
  customer_id text collate "C",
  alert_type text not null,
  name text not null,
  status text not null check (status in ('enabled', 'disabled', 'archived')),
  uniqueness_key text,
  definition jsonb not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (account_id, id)
);
create unique index threshold_alerts_uniqueness on threshold_alerts (account_id, uniqueness_key)
  where uniqueness_key is not null;
create index threshold_alerts_by_customer on threshold_alerts (account_id, customer_id) where status = 'enabled';

create table threshold_alert_states (
  account_id text collate "C" not null,
  alert_id uuid not null,
  customer_id text collate "C" not null,
  state text not null check (state in ('ok', 'in_alarm', 'evaluating')),
  reading numeric,
  updated_at timestamptz not null,
  primary key (account_id, alert_id, customer_id)
);

-- Holds on a customer's prepaid balance.
create table authorizations (
  account_id text collate "C" not null references accounts,
  id text collate "C" not null,
  customer_id text collate "C" not null,
  amount numeric not null check (amount > 0),
  status text not null check (status in ('authorized', 'captured', 'released', 'expired')),
  product_id uuid,
  expires_at timestamptz not null,
  created_at timestamptz not null,
  closed_at timestamptz,
  -- Of the capture, so that the same events again give the same answer.
  capture_sha256 bytea,
  details jsonb not null default '{}',
  metadata jsonb not null default '{}',
  primary key (account_id, id)
);
create index authorizations_open on authorizations (account_id, customer_id, expires_at) where status = 'authorized';
