-- Through which provider a customer's invoices would be collected. Kept and shown; contracts refer to them by id.
create table billing_provider_configurations (
  account_id text collate "C" not null,
  id uuid not null,
  customer_id text collate "C" not null,
  document jsonb not null,
  created_at timestamptz not null,
  archived_at timestamptz,
  primary key (account_id, id),
  foreign key (account_id, customer_id) references customers (account_id, id)
);
create index billing_provider_configurations_by_customer
  on billing_provider_configurations (account_id, customer_id, created_at);
