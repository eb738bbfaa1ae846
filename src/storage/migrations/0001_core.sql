-- Accounts, keys, catalogue, customers, subscriptions, invoices. Money is bigint minor units, prices and quantities
-- numeric, time timestamptz. Every table starts with the account: tenants never share a key.
-- Text ids compare bytewise ("C") so that id order is creation order.

create table accounts (
  id text collate "C" primary key,
  name text not null,
  created_at timestamptz not null,
  settings jsonb not null default '{}'
);

create table api_keys (
  id text collate "C" primary key,
  account_id text collate "C" not null references accounts,
  type text not null check (type in ('secret', 'restricted', 'publishable')),
  livemode boolean not null,
  name text,
  secret_sha256 bytea not null unique,
  last4 text not null,
  created_at timestamptz not null,
  revoked_at timestamptz
);

create table idempotency_keys (
  account_id text collate "C" not null,
  key text not null,
  request_sha256 bytea not null,
  response_status integer not null,
  response_body text not null,
  created_at timestamptz not null,
  primary key (account_id, key)
);
create index idempotency_keys_by_age on idempotency_keys (created_at);

create table test_clocks (
  account_id text collate "C" not null references accounts,
  id text collate "C" not null,
  name text,
  status text not null check (status in ('ready', 'advancing', 'internal_failure')),
  frozen_time timestamptz not null,
  target_time timestamptz,
  created_at timestamptz not null,
  deletes_after timestamptz not null,
  deleted_at timestamptz,
  primary key (account_id, id)
);

create table customers (
  account_id text collate "C" not null references accounts,
  id text collate "C" not null,
  livemode boolean not null,
  created_at timestamptz not null,
  test_clock_id text collate "C",
  name text,
  email text,
  currency text,
  balance bigint not null default 0,
  invoice_prefix text not null,
  next_invoice_sequence integer not null default 1,
  details jsonb not null default '{}',
  metadata jsonb not null default '{}',
  deleted_at timestamptz,
  primary key (account_id, id),
  foreign key (account_id, test_clock_id) references test_clocks (account_id, id)
);
create unique index customers_invoice_prefix on customers (account_id, invoice_prefix);
create index customers_by_age on customers (account_id, created_at desc, id desc) where deleted_at is null;
create index customers_by_clock on customers (account_id, test_clock_id) where test_clock_id is not null;
create index customers_by_email on customers (account_id, email) where email is not null;

create table products (
  account_id text collate "C" not null references accounts,
  id text collate "C" not null,
  livemode boolean not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  active boolean not null,
  name text not null,
  unit_label text,
  default_price_id text collate "C",
  details jsonb not null default '{}',
  metadata jsonb not null default '{}',
  deleted_at timestamptz,
  primary key (account_id, id)
);
create index products_by_age on products (account_id, created_at desc, id desc) where deleted_at is null;

create table meters (
  account_id text collate "C" not null references accounts,
  id text collate "C" not null,
  livemode boolean not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  display_name text not null,
  event_name text not null,
  status text not null check (status in ('active', 'inactive')),
  formula text not null check (formula in ('sum', 'count', 'last')),
  event_time_window text check (event_time_window in ('hour', 'day')),
  customer_key text not null,
  value_key text not null,
  deactivated_at timestamptz,
  primary key (account_id, id)
);
-- One active meter an event name: the name decides which meter an event belongs to.
create unique index meters_event_name on meters (account_id, event_name) where status = 'active';
create index meters_by_age on meters (account_id, created_at desc, id desc);

create table prices (
  account_id text collate "C" not null references accounts,
  id text collate "C" not null,
  livemode boolean not null,
  created_at timestamptz not null,
  product_id text collate "C" not null,
  active boolean not null,
  currency text not null,
  billing_scheme text not null check (billing_scheme in ('per_unit', 'tiered')),
  unit_amount numeric,
  tiers_mode text check (tiers_mode in ('graduated', 'volume')),
  tiers jsonb,
  transform_divide_by bigint,
  transform_round text check (transform_round in ('up', 'down')),
  recurring_interval text check (recurring_interval in ('day', 'week', 'month', 'year')),
  recurring_interval_count integer,
  usage_type text check (usage_type in ('licensed', 'metered')),
  meter_id text collate "C",
  nickname text,
  lookup_key text,
  tax_behavior text not null default 'unspecified',
  metadata jsonb not null default '{}',
  primary key (account_id, id),
  foreign key (account_id, product_id) references products (account_id, id),
  foreign key (account_id, meter_id) references meters (account_id, id)
);
create unique index prices_lookup_key on prices (account_id, lookup_key) where lookup_key is not null;
create index prices_by_age on prices (account_id, created_at desc, id desc);
create index prices_by_product on prices (account_id, product_id);

create table subscriptions (
  account_id text collate "C" not null references accounts,
  id text collate "C" not null,
  livemode boolean not null,
  created_at timestamptz not null,
  customer_id text collate "C" not null,
  test_clock_id text collate "C",
  status text not null check (status in
    ('incomplete', 'incomplete_expired', 'trialing', 'active', 'past_due', 'unpaid', 'canceled', 'paused')),
  currency text not null,
  started_at timestamptz not null,
  anchor timestamptz not null,
  cancel_at timestamptz,
  cancel_at_period_end boolean not null default false,
  canceled_at timestamptz,
  ended_at timestamptz,
  cancellation_details jsonb not null default '{}',
  collection_method text not null check (collection_method in ('charge_automatically', 'send_invoice')),
  days_until_due integer,
  latest_invoice_id text collate "C",
  -- The next instant at which the workflow has work to do (wall or clock time); null when it has none for ever.
  next_due_at timestamptz,
  -- The workflow was seen to run. A row without it is started again by reconcile.
  workflow_started_at timestamptz,
  -- Wall time of the insert; created_at may be a test clock's.
  inserted_at timestamptz not null default now(),
  details jsonb not null default '{}',
  metadata jsonb not null default '{}',
  primary key (account_id, id),
  foreign key (account_id, customer_id) references customers (account_id, id)
);
create index subscriptions_by_age on subscriptions (account_id, created_at desc, id desc);
create index subscriptions_by_customer on subscriptions (account_id, customer_id);
create index subscriptions_due on subscriptions (next_due_at) where next_due_at is not null;
create index subscriptions_due_on_clock on subscriptions (account_id, test_clock_id, next_due_at)
  where test_clock_id is not null and next_due_at is not null;
create index subscriptions_unstarted on subscriptions (inserted_at) where workflow_started_at is null;

create table subscription_items (
  account_id text collate "C" not null references accounts,
  id text collate "C" not null,
  subscription_id text collate "C" not null,
  position integer not null,
  price_id text collate "C" not null,
  quantity bigint,
  created_at timestamptz not null,
  -- The open period. Boundary n is computed from the subscription's anchor, never from the period before.
  period_start timestamptz not null,
  period_end timestamptz not null,
  details jsonb not null default '{}',
  metadata jsonb not null default '{}',
  primary key (account_id, id),
  foreign key (account_id, subscription_id) references subscriptions (account_id, id),
  foreign key (account_id, price_id) references prices (account_id, id),
  check (period_start < period_end)
);
create index subscription_items_by_subscription on subscription_items (account_id, subscription_id, position);
create index subscription_items_by_price on subscription_items (account_id, price_id);

create table invoices (
  account_id text collate "C" not null references accounts,
  id text collate "C" not null,
  livemode boolean not null,
  created_at timestamptz not null,
  customer_id text collate "C" not null,
  subscription_id text collate "C",
  test_clock_id text collate "C",
  -- What this invoice is for, one row each: `create`, `cycle:<boundary ms>`, `cancel:<ms>`. Makes its creation idempotent.
  step text,
  billing_reason text not null,
  status text not null check (status in ('draft', 'open', 'paid', 'uncollectible', 'void')),
  number text,
  currency text not null,
  collection_method text not null,
  auto_advance boolean not null,
  -- The instant the invoice is about (the period boundary), not the wake-up that made it.
  period_start timestamptz not null,
  period_end timestamptz not null,
  subtotal bigint not null,
  total bigint not null,
  starting_balance bigint not null default 0,
  ending_balance bigint,
  amount_due bigint not null,
  amount_paid bigint not null default 0,
  paid_out_of_band boolean not null default false,
  attempted boolean not null default false,
  finalizes_at timestamptz,
  due_at timestamptz,
  finalized_at timestamptz,
  paid_at timestamptz,
  voided_at timestamptz,
  marked_uncollectible_at timestamptz,
  -- What it bills, so that a draft can be computed again from the usage known by then.
  recipe jsonb not null,
  details jsonb not null default '{}',
  metadata jsonb not null default '{}',
  primary key (account_id, id),
  foreign key (account_id, customer_id) references customers (account_id, id),
  foreign key (account_id, subscription_id) references subscriptions (account_id, id),
  check ((status = 'draft') = (number is null)),
  check (amount_due >= 0)
);
create unique index invoices_step on invoices (account_id, subscription_id, step) where step is not null;
create unique index invoices_number on invoices (account_id, number) where number is not null;
create index invoices_by_age on invoices (account_id, created_at desc, id desc);
create index invoices_by_customer on invoices (account_id, customer_id, created_at desc, id desc);
create index invoices_by_subscription on invoices (account_id, subscription_id, created_at desc, id desc);
create index invoices_to_finalize on invoices (account_id, subscription_id, finalizes_at)
  where status = 'draft' and finalizes_at is not null;

create table invoice_lines (
  account_id text collate "C" not null,
  id text collate "C" not null,
  invoice_id text collate "C" not null,
  position integer not null,
  kind text not null check (kind in ('usage', 'licensed', 'late_usage')),
  subscription_item_id text collate "C",
  price_id text collate "C",
  product_id text collate "C",
  meter_id text collate "C",
  description text not null,
  quantity numeric not null,
  unit_amount numeric,
  amount bigint not null,
  tier integer,
  proration boolean not null default false,
  period_start timestamptz not null,
  period_end timestamptz not null,
  metadata jsonb not null default '{}',
  primary key (account_id, invoice_id, position),
  unique (account_id, id),
  foreign key (account_id, invoice_id) references invoices (account_id, id)
);

-- What has been billed for each metered item and closed period, so that usage arriving later is billed as a
-- difference and never twice. Written with the invoice's finalization.
create table billed_usage (
  account_id text collate "C" not null,
  subscription_item_id text collate "C" not null,
  period_start timestamptz not null,
  period_end timestamptz not null,
  price_id text collate "C" not null,
  quantity numeric not null,
  amount bigint not null,
  invoice_id text collate "C" not null,
  primary key (account_id, subscription_item_id, period_start)
);
create index billed_usage_by_end on billed_usage (account_id, subscription_item_id, period_end);

create table billing_alerts (
  account_id text collate "C" not null references accounts,
  id text collate "C" not null,
  livemode boolean not null,
  created_at timestamptz not null,
  title text not null,
  status text not null check (status in ('active', 'inactive', 'archived')),
  meter_id text collate "C" not null,
  customer_id text collate "C",
  threshold numeric not null check (threshold > 0),
  recurrence text not null check (recurrence in ('one_time')),
  primary key (account_id, id),
  foreign key (account_id, meter_id) references meters (account_id, id),
  foreign key (account_id, customer_id) references customers (account_id, id)
);
create index billing_alerts_by_meter on billing_alerts (account_id, meter_id) where status = 'active';

-- An alert fires once a customer: the row is the proof.
create table billing_alert_firings (
  account_id text collate "C" not null,
  alert_id text collate "C" not null,
  customer_id text collate "C" not null,
  value numeric not null,
  fired_at timestamptz not null,
  event_id text collate "C" not null,
  primary key (account_id, alert_id, customer_id)
);

create table events (
  account_id text collate "C" not null references accounts,
  id text collate "C" not null,
  livemode boolean not null,
  type text not null,
  created_at timestamptz not null,
  object_id text collate "C",
  data jsonb not null,
  request_id text,
  idempotency_key text,
  primary key (account_id, id)
);
create index events_by_age on events (account_id, created_at desc, id desc);
create index events_by_type on events (account_id, type, created_at desc, id desc);
create index events_by_object on events (account_id, object_id);
