-- Short-lived tokens that open the meter event stream; only their hashes are kept.
create table meter_event_sessions (
  account_id text collate "C" not null references accounts,
  id text collate "C" not null,
  livemode boolean not null,
  token_sha256 bytea not null unique,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (account_id, id)
);
create index meter_event_sessions_by_expiry on meter_event_sessions (expires_at);

-- Events of streams that were refused, counted by meter ('' for none), code and a few seconds of arrival, until they
-- are reported.
create table meter_event_errors (
  account_id text collate "C" not null references accounts,
  window_start timestamptz not null,
  meter_id text collate "C" not null,
  code text collate "C" not null,
  livemode boolean not null,
  error_count bigint not null,
  -- A few of them: [{ message, identifier }].
  samples jsonb not null,
  primary key (account_id, window_start, meter_id, code)
);

-- Thin events (docs.stripe.com/api/v2/core/events): what is pushed names them, their data is fetched.
create table thin_events (
  account_id text collate "C" not null references accounts,
  id text collate "C" not null,
  livemode boolean not null,
  type text not null,
  created_at timestamptz not null,
  related_type text,
  related_id text collate "C",
  related_url text,
  data jsonb not null,
  primary key (account_id, id)
);
create index thin_events_by_age on thin_events (account_id, created_at desc, id desc);
