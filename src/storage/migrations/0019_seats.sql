-- Whose share of a commit or credit a fact changes, where it is granted to each seat by itself.
alter table balance_entries add column seat_id text;

-- What an alert on the balances of single seats said about each seat last; the alert's own state is the worst of them.
create table seat_alert_states (
  account_id text collate "C" not null,
  alert_id uuid not null,
  customer_id text collate "C" not null,
  seat_id text not null,
  state text not null check (state in ('ok', 'in_alarm')),
  reading numeric not null,
  updated_at timestamptz not null,
  primary key (account_id, alert_id, customer_id, seat_id)
);
