-- Usage on billable metrics. A series is (metric, the customer's name as it was sent, values of one group key); events
-- of Metronome's dialect are kept in series of no meter, one for each name and event type.
-- Minutes, hours, days, and UTC months, which stand under 30000 (their minutes fit no smallint). Metrics have no minutes.
alter table usage_rollups drop constraint usage_rollups_grain_check;
alter table usage_rollups add constraint usage_rollups_grain_check check (grain in (1, 60, 1440, 30000));

-- The distinct texts of an hour, for UNIQUE.
create table usage_texts (
  series_id bigint not null,
  bucket timestamptz not null,
  text text collate "C" not null,
  primary key (series_id, bucket, text)
);
