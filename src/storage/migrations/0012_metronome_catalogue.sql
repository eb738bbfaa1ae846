-- What the Metronome dialect keeps of a customer besides what both dialects know.
alter table customers add column custom_fields jsonb not null default '{}';
alter table customers add column updated_at timestamptz;
alter table customers add column salesforce_account_id text;
-- A customer made through Stripe's dialect shows its Stripe id among its aliases.
alter table customers add column made_by text not null default 'stripe' check (made_by in ('stripe', 'metronome'));
create index customers_archived on customers (account_id, created_at desc, id desc) where archived_at is not null;

-- Another value after every change of the card or its rates: what was read under a revision stays true for it.
alter table rate_cards add column revision uuid not null default gen_random_uuid();
create index rate_cards_by_alias on rate_cards using gin (aliases jsonb_path_ops);

-- The keys that custom fields may have, by entity.
create table custom_field_keys (
  account_id text collate "C" not null references accounts,
  entity text not null,
  key text not null,
  enforce_uniqueness boolean not null,
  primary key (account_id, entity, key)
);
