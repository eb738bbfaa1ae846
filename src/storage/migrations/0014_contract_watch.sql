-- Customers whose balances and spend are to be looked at: for alerts, spend thresholds and recharges. What is to be
-- looked at is in the database, so nothing is lost with a process.
create table customer_checks (
  account_id text collate "C" not null,
  customer_id text collate "C" not null,
  test_clock_id text collate "C",
  -- Grows with every reason to look; what was seen is what was asked for before the look.
  requests bigint not null,
  -- Since when somebody should look; null when nobody needs to.
  pending_since timestamptz,
  -- Whether usage is a reason to look: there is an alert, a threshold, or nobody has looked yet.
  watched boolean not null default true,
  claimed_until timestamptz,
  looked_at timestamptz,
  -- The next instant of the customer's own time at which something changes by itself.
  next_look_at timestamptz,
  primary key (account_id, customer_id),
  foreign key (account_id, customer_id) references customers (account_id, id)
) with (fillfactor = 50);
create index customer_checks_pending on customer_checks (pending_since) where pending_since is not null;
create index customer_checks_later on customer_checks (next_look_at)
  where test_clock_id is null and next_look_at is not null;
create index customer_checks_on_clock on customer_checks (account_id, test_clock_id) where test_clock_id is not null;

-- Purchases of thresholds that wait for their payment; the commit exists once it is paid.
create table threshold_payments (
  account_id text collate "C" not null references accounts,
  -- The workflow_id of payment_gate events.
  id uuid not null,
  customer_id text collate "C" not null,
  contract_id uuid not null,
  kind text not null check (kind in ('prepaid', 'spend')),
  status text not null check (status in ('pending', 'paid', 'failed')),
  balance jsonb not null,
  created_at timestamptz not null,
  closed_at timestamptz,
  primary key (account_id, id)
);
create unique index threshold_payments_pending on threshold_payments (account_id, contract_id, kind)
  where status = 'pending';

-- The pricing unit that a hold is in.
alter table authorizations add column credit_type_id uuid not null;
create index authorizations_sweep on authorizations (expires_at) where status = 'authorized';
