-- What contracts, commits and credits were until each change of them, for reads as of an earlier instant.
create table contract_versions (
  account_id text collate "C" not null,
  contract_id uuid not null,
  sequence bigint generated always as identity,
  until timestamptz not null,
  name text,
  ending_before timestamptz,
  terms jsonb not null,
  archived_at timestamptz,
  primary key (account_id, contract_id, sequence),
  foreign key (account_id, contract_id) references contracts (account_id, id)
);

create table balance_versions (
  account_id text collate "C" not null,
  balance_id uuid not null,
  sequence bigint generated always as identity,
  until timestamptz not null,
  terms jsonb not null,
  archived_at timestamptz,
  primary key (account_id, balance_id, sequence),
  foreign key (account_id, balance_id) references balances (account_id, id)
);

-- Edits kept the terms before them so far.
insert into contract_versions (account_id, contract_id, until, name, ending_before, terms)
  select account_id, contract_id, at, terms_before ->> 'name',
    to_timestamp((terms_before ->> 'endingBefore')::double precision / 1000), terms_before -> 'document'
  from contract_edits order by sequence;
alter table contract_edits drop column terms_before;
