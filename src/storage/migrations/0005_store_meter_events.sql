-- Generations of identifiers become partitions of one table, so that statements need not name them. What is unique in a
-- generation is unique in all: a writer looks into the older ones first (src/metering/identifiers.ts).
drop table meter_event_identifiers;
create table meter_event_identifiers (
  generation integer not null,
  account_id text collate "C" not null,
  identifier text collate "C" not null,
  -- Where the event is; its time in epoch ms.
  series_id bigint not null,
  event_ms bigint not null,
  arrival bigint not null,
  -- Hashes of the Idempotency-Key and of the request, to tell a repeated request from a second use of the identifier.
  key_hash bigint,
  request_hash bigint,
  primary key (generation, account_id, identifier)
) partition by list (generation);
do $$
declare
  existing integer;
begin
  for existing in select generation from identifier_generations loop
    execute format('alter table meter_event_identifiers_%s add column generation integer not null default %s',
      existing, existing);
    execute format('alter table meter_event_identifiers_%s drop constraint meter_event_identifiers_%s_pkey',
      existing, existing);
    execute format('alter table meter_event_identifiers attach partition meter_event_identifiers_%s for values in (%s)',
      existing, existing);
  end loop;
end
$$;

-- The writing of usage, as functions: a batch of meter events is one call, and so one exchange with the database.

-- Adds to the totals of series, marks them dirty, and takes their locks until the transaction ends: it must come before
-- anything is written to their rollups. Rows come sorted by series. An arrival is `base` plus the one given.
create function add_usage_totals(
  base bigint, series bigint[], counts bigint[], totals numeric[], arrived bigint[],
  last_values numeric[], last_times timestamptz[], last_arrivals bigint[]
) returns void language plpgsql as $$
begin
  insert into usage_totals as t
    (series_id, count, total, arrived, last_value, last_time, last_arrival, watermark, dirty_since)
  select w.series, w.count, w.total, w.arrived, w.last_value, w.last_time, base + w.last_arrival,
    nextval('meter_event_batches') * 65536, clock_timestamp()
  from unnest(series, counts, totals, arrived, last_values, last_times, last_arrivals)
    as w (series, count, total, arrived, last_value, last_time, last_arrival)
  on conflict (series_id) do update set
    count = t.count + excluded.count,
    total = t.total + excluded.total,
    arrived = t.arrived + excluded.arrived,
    (last_value, last_time, last_arrival) = (
      select case when later then excluded.last_value else t.last_value end,
        case when later then excluded.last_time else t.last_time end,
        case when later then excluded.last_arrival else t.last_arrival end
      from (
        select coalesce((excluded.last_time, excluded.last_arrival) > (t.last_time, t.last_arrival),
          t.last_time is null) as later
      ) as l
    ),
    -- Drawn here, under the row's lock, so that watermarks grow in the order of the commits.
    watermark = nextval('meter_event_batches') * 65536,
    dirty_since = coalesce(t.dirty_since, excluded.dirty_since);
end
$$;

-- Adds to rollups. The caller holds the locks of the series.
create function add_usage_rollups(
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
    (last_value, last_time, last_arrival) = (
      select case when later then excluded.last_value else r.last_value end,
        case when later then excluded.last_time else r.last_time end,
        case when later then excluded.last_arrival else r.last_arrival end
      from (select (excluded.last_time, excluded.last_arrival) > (r.last_time, r.last_arrival) as later) as l
    );
end
$$;

-- Inserts events, with their usage added up already. An instant is a number of its place in a short list; `place` is an
-- event's place in its batch, and the arrival `base` plus it. `alerted` are the series whose meters have alerts.
create function add_meter_events(
  base bigint, instants timestamptz[],
  series bigint[], parts bigint[], event_instants integer[], created_instants integer[], places integer[],
  event_values numeric[], identifiers text[], payloads json[],
  t_series bigint[], t_counts bigint[], t_totals numeric[], t_arrived bigint[], t_last_values numeric[],
  t_last_times timestamptz[], t_last_places bigint[],
  r_series bigint[], r_grains smallint[], r_buckets timestamptz[], r_counts bigint[], r_totals numeric[],
  r_maxima numeric[], r_last_values numeric[], r_last_times timestamptz[], r_last_places bigint[],
  mark_urgent text, alerted bigint[]
) returns void language plpgsql as $$
begin
  insert into meter_events
    (series_id, event_time, arrival, created_at, value, identifier, payload, dimension_series_id)
  select w.series, instants[w.event_instant], base + w.place, instants[w.created_instant], w.value, w.identifier,
    w.payload, w.part
  from unnest(series, parts, event_instants, created_instants, places, event_values, identifiers, payloads)
    as w (series, part, event_instant, created_instant, place, value, identifier, payload);
  perform add_usage_totals(base, t_series, t_counts, t_totals, t_arrived, t_last_values, t_last_times, t_last_places);
  perform add_usage_rollups(base, r_series, r_grains, r_buckets, r_counts, r_totals, r_maxima, r_last_values,
    r_last_times, r_last_places);
  if cardinality(alerted) > 0 then
    execute mark_urgent using alerted;
  end if;
end
$$;

-- Takes identifiers that are expected to be free, in the newest generation, and draws the batch's first arrival. Raises
-- a unique violation when one was used before. Rows come sorted by account and identifier; an account is a number of
-- its place in a short list.
create function take_new_identifiers(
  accounts text[], instants_ms bigint[],
  account_places integer[], identifiers text[], series bigint[], event_instants integer[], places integer[],
  key_hashes bigint[], request_hashes bigint[]
) returns bigint language plpgsql as $$
declare
  base bigint;
  newest integer;
begin
  -- The list of generations is held still (src/metering/identifiers.ts has the number). It must be read by a statement
  -- of its own, after the lock is had.
  perform pg_advisory_xact_lock_shared(7283104513);
  select max(generation), nextval('meter_event_batches') * 65536 into strict newest, base from identifier_generations;
  if exists (
    select from unnest(account_places, identifiers) as w (account, identifier)
    join meter_event_identifiers i on i.generation < newest and i.account_id = accounts[w.account]
      and i.identifier = w.identifier
  ) then
    raise unique_violation using message = 'an identifier was used before';
  end if;
  insert into meter_event_identifiers
    (generation, account_id, identifier, series_id, event_ms, arrival, key_hash, request_hash)
  select newest, accounts[w.account], w.identifier, w.series, instants_ms[w.instant], base + w.place, w.key_hash,
    w.request_hash
  from unnest(account_places, identifiers, series, event_instants, places, key_hashes, request_hashes)
    as w (account, identifier, series, instant, place, key_hash, request_hash);
  return base;
end
$$;

-- Stores a batch whose identifiers are expected to be new: `take_new_identifiers`, then `add_meter_events`.
create function store_new_meter_events(
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
  base bigint := take_new_identifiers(accounts, instants_ms, account_places, identifiers, series, event_instants,
    places, key_hashes, request_hashes);
begin
  perform add_meter_events(base, instants, series, parts, event_instants, created_instants, places, event_values,
    identifiers, payloads, t_series, t_counts, t_totals, t_arrived, t_last_values, t_last_times, t_last_places,
    r_series, r_grains, r_buckets, r_counts, r_totals, r_maxima, r_last_values, r_last_times, r_last_places,
    mark_urgent, alerted);
end
$$;
