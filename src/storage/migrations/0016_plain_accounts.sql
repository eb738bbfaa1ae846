-- The short way of storing events counts them on Stripe meters alone. It is refused (DB001) for accounts where something
-- else counts or watches events; the lock keeps a first metric from being made in between.
create function hold_plain_accounts(accounts text[]) returns void language plpgsql as $$
begin
  perform pg_advisory_xact_lock_shared(hashtextextended('metrics/' || account, 0))
  from unnest(accounts) as account;
  if exists (select from billable_metrics m where m.account_id = any (accounts))
    or exists (select from contracts c where c.account_id = any (accounts))
    or exists (select from threshold_alerts a where a.account_id = any (accounts))
  then
    raise exception 'something else counts or watches the events of these accounts' using errcode = 'DB001';
  end if;
end
$$;
