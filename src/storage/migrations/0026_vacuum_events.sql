-- Events and identifiers are only added, by the million. Looking them over whenever a tenth is new takes a good part of a
-- processor while they grow fast; whenever they have grown by half is enough for the planner. New partitions are made so
-- (src/metering/partitions.ts, identifiers.ts).
do $$
declare
  existing regclass;
begin
  for existing in
    select inhrelid::regclass from pg_inherits
    where inhparent in ('meter_events'::regclass, 'meter_event_identifiers'::regclass)
  loop
    execute format(
      'alter table %s set (autovacuum_analyze_scale_factor = 0.5, autovacuum_vacuum_insert_scale_factor = 0.5)', existing);
  end loop;
end
$$;
