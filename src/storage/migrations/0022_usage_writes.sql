-- A series is looked up by all four of its names. Without statistics the planner takes whichever index it finds, and the
-- shorter one made it read every series of a customer for each of a thousand names.
drop index usage_series_by_customer;
create index usage_series_by_customer on usage_series (account_id, customer_id, meter_id, dimension_key);

-- Notes that usage has arrived under these names (ids in either dialect, or aliases), in the transaction that stores it and
-- after it has written; `earliest` is the time of the first event of each (src/storage/customerChecks.ts).
create function request_checks_of_usage(
  accounts text[], keys text[], uuids uuid[], earliest timestamptz[]
) returns void language plpgsql as $$
begin
  with sent as (
    select * from unnest(accounts, keys, uuids, earliest) as w (account_id, key, uuid, first)
  ), named as materialized (
    select c.account_id, c.id, w.first from sent w
      join customers c on c.account_id = w.account_id and c.id = w.key
    union all
    select c.account_id, c.id, w.first from sent w
      join customers c on c.account_id = w.account_id and c.uuid = w.uuid
    union all
    select a.account_id, a.customer_id, w.first from sent w
      join ingest_aliases a on a.account_id = w.account_id and a.alias = w.key
  ), late as materialized (
    select l.account_id, l.contract_id from named n
    join contract_late_usage l on l.account_id = n.account_id and l.customer_id = n.id
    where n.first < l.closing_through order by l.account_id, l.contract_id for update of l
  ), noticed as (
    update contract_late_usage l set noticed = l.noticed + 1
    from late where l.account_id = late.account_id and l.contract_id = late.contract_id
    returning l.account_id, l.customer_id
  ), held as materialized (
    select k.account_id, k.customer_id, k.watched from named n
    join customer_checks k on k.account_id = n.account_id and k.customer_id = n.id
    -- Joined, not asked for by a subquery: Postgres could not ask again for a row that it had to wait for.
    left join noticed m on m.account_id = n.account_id and m.customer_id = n.id
    where k.watched or m.customer_id is not null
    order by k.account_id, k.customer_id for update of k
  )
  update customer_checks k set requests = k.requests + 1,
    pending_since = coalesce(k.pending_since, clock_timestamp())
  from held where k.account_id = held.account_id and k.customer_id = held.customer_id;
end
$$;

-- Stores a batch whose identifiers are expected to be new, with what it adds to metrics, whose rollups stand among the
-- others: one exchange. `metrics` are the ids of all metrics of the accounts as the caller knows them, sorted; when there
-- are others, DB003 says so and nothing is stored. The first `taken` rows take their identifiers; those after them are
-- copies on Stripe's meters. The locks are those of the longer way, the metrics' first, where nothing else is held yet.
create function store_counted_meter_events(
  held text[], metrics text[], taken integer,
  x_series bigint[], x_buckets timestamptz[], x_texts text[],
  check_accounts text[], check_keys text[], check_uuids uuid[], check_earliest timestamptz[],
  accounts text[], instants_ms bigint[], account_places integer[], key_hashes bigint[], request_hashes bigint[],
  instants timestamptz[],
  series bigint[], parts bigint[], event_instants integer[], created_instants integer[], places integer[],
  event_values numeric[], identifiers text[], payloads json[],
  t_series bigint[], t_counts bigint[], t_totals numeric[], t_arrived bigint[], t_last_values numeric[],
  t_last_times timestamptz[], t_last_places bigint[],
  r_series bigint[], r_grains smallint[], r_buckets timestamptz[], r_counts bigint[], r_totals numeric[],
  r_maxima numeric[], r_last_values numeric[], r_last_times timestamptz[], r_last_places bigint[],
  mark_urgent text, alerted bigint[]
) returns void language plpgsql as $$
declare
  base bigint;
begin
  perform pg_advisory_xact_lock_shared(hashtextextended('metrics/' || account, 0)) from unnest(held) as account;
  -- A statement of its own: it must see what was committed while the lock was waited for.
  if metrics is distinct from array(
    select m.id::text from billable_metrics m where m.account_id = any (held) order by m.id::text collate "C"
  ) then
    raise exception 'the metrics of these accounts are others' using errcode = 'DB003';
  end if;
  base := take_new_identifiers(accounts, instants_ms, account_places[1:taken], identifiers[1:taken], series[1:taken],
    event_instants[1:taken], places[1:taken], key_hashes[1:taken], request_hashes[1:taken]);
  perform add_meter_events(base, instants, series, parts, event_instants, created_instants, places, event_values,
    identifiers, payloads, t_series, t_counts, t_totals, t_arrived, t_last_values, t_last_times, t_last_places,
    r_series, r_grains, r_buckets, r_counts, r_totals, r_maxima, r_last_values, r_last_times, r_last_places,
    mark_urgent, alerted);
  if cardinality(x_series) > 0 then
    insert into usage_texts (series_id, bucket, text)
    select * from unnest(x_series, x_buckets, x_texts) on conflict do nothing;
  end if;
  perform request_checks_of_usage(check_accounts, check_keys, check_uuids, check_earliest);
end
$$;

-- As before, without a subquery a row: most of what usage costs to write is here.
create or replace function add_usage_rollups(
  base bigint, series bigint[], grains smallint[], buckets timestamptz[], counts bigint[], totals numeric[],
  maxima numeric[], last_values numeric[], last_times timestamptz[], last_arrivals bigint[]
) returns void language plpgsql as $$
begin
  insert into usage_rollups as r
    (series_id, grain, bucket, count, total, max, last_value, last_time, last_arrival)
  select w.series, w.grain, w.bucket, w.count, w.total, w.max, w.last_value, w.last_time, base + w.last_arrival
  from unnest(series, grains, buckets, counts, totals, maxima, last_values, last_times, last_arrivals)
    as w (series, grain, bucket, count, total, max, last_value, last_time, last_arrival)
  on conflict (series_id, grain, bucket) do update set
    count = r.count + excluded.count,
    total = r.total + excluded.total,
    max = greatest(r.max, excluded.max),
    last_value = case when (excluded.last_time, excluded.last_arrival) > (r.last_time, r.last_arrival)
      then excluded.last_value else r.last_value end,
    last_time = greatest(r.last_time, excluded.last_time),
    last_arrival = case when (excluded.last_time, excluded.last_arrival) > (r.last_time, r.last_arrival)
      then excluded.last_arrival else r.last_arrival end;
end
$$;
