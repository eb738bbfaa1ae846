-- Alerts are listed in the order in which they were made, also those of one second.
alter table threshold_alerts add column sequence bigint generated always as identity;
