-- Dimensions: properties of events that a meter keeps usage apart by. A series with a dimension key is the part of a
-- customer's usage with those values; its rollups are written under the lock of the whole.
alter table meters
  add column dimension_keys text[] not null default '{}',
  add column dimension_values_max integer not null default 1000 check (dimension_values_max > 0);

-- The part that an event belongs to; null on a meter without dimensions.
alter table meter_events add column dimension_series_id bigint;
