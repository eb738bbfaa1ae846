-- What the ingest remembers of meters, customers and clocks from one batch to the next holds as long as nothing here is
-- newer than the look-up. Rows are only added, so those who change things never wait for each other; src/metering/known.ts
-- removes old ones.
create table metering_changes (
  account_id text collate "C" not null,
  -- The transaction that made the change. One that a look-up did not see has a number from that look-up's xmin on.
  changed_in xid8 not null default pg_current_xact_id(),
  changed_at timestamptz not null default now()
);
create index metering_changes_by_account on metering_changes (account_id, changed_in);
create index metering_changes_by_age on metering_changes (changed_at);

create function note_metering_change() returns trigger language plpgsql as $$
begin
  insert into metering_changes (account_id) values (new.account_id);
  return null;
end
$$;
create trigger note_metering_change after insert or update on meters
  for each row execute function note_metering_change();
create trigger note_metering_change after insert or update on billing_alerts
  for each row execute function note_metering_change();
create trigger note_metering_change after update of test_clock_id, deleted_at on customers
  for each row execute function note_metering_change();
create trigger note_metering_change after update of frozen_time, deleted_at on test_clocks
  for each row execute function note_metering_change();

-- Raises DB002 when something has changed that look-ups from `since` on may not have seen; both lists go by place.
create function check_nothing_changed(accounts text[], since xid8[]) returns void language plpgsql as $$
begin
  if exists (
    select from unnest(accounts, since) as w (account, since)
    join metering_changes c on c.account_id = w.account and c.changed_in >= w.since
  ) then
    raise exception 'what the events refer to has changed' using errcode = 'DB002';
  end if;
end
$$;
