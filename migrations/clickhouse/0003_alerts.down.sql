drop table if exists analytics.alerts;
