-- Terms of contracts with times that count from a contract's start. A package never changes but for its aliases, which
-- a later one may take over.
create table packages (
  account_id text collate "C" not null references accounts,
  id uuid not null,
  name text not null,
  aliases jsonb not null default '[]',
  uniqueness_key text,
  terms jsonb not null,
  created_at timestamptz not null,
  archived_at timestamptz,
  primary key (account_id, id)
);
create unique index packages_uniqueness on packages (account_id, uniqueness_key) where uniqueness_key is not null;
create index packages_by_alias on packages using gin (aliases jsonb_path_ops);
create index packages_by_creation on packages (account_id, created_at, id);

alter table contracts add column package_id uuid;
alter table contracts add foreign key (account_id, package_id) references packages (account_id, id);
create index contracts_by_package on contracts (account_id, package_id, created_at, id) where package_id is not null;
