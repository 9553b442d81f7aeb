drop table if exists analytics.telemetry;
