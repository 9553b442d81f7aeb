-- Kafka keeps alerts for 30 days (telemetry.alerts.v1), this table for good. The writer leaves out what is there.
-- Should it ever insert an alert twice, a merge leaves one row, so read with `final`.
create table if not exists analytics.alerts (
    alert_id        String,
    vin             String,
    device_id       String,
    time            DateTime64(3, 'UTC') codec(Delta, Default),
    received_at     DateTime64(3, 'UTC') codec(Delta, Default),
    kind            LowCardinality(String),
    code            String,
    severity        LowCardinality(String),
    data            String,
    origin          LowCardinality(String),
    stream_position Int64 codec(Delta, Default)
)
engine = ReplacingMergeTree
partition by toYYYYMM(time)
order by (vin, time, alert_id)
comment 'One row per alert; data is JSON, time the device''s clock.';
