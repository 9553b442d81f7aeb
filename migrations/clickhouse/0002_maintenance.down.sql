drop table if exists analytics.health_scores;
drop table if exists analytics.maintenance_predictions;
drop table if exists analytics.service_records;
drop table if exists analytics.vehicles;
drop table if exists analytics.backfill_loads;
drop table if exists analytics.loaded_component_day_signals;
