-- Warm tier: the same rows as TimescaleDB's hypertable, deduplicated by identity when a day is loaded.
-- Codecs were chosen by measurement; `Default` (not LZ4) keeps a later RECOMPRESS TTL effective.
create table if not exists analytics.telemetry (
    time            DateTime64(3, 'UTC') codec(Delta, Default),
    device_id       String,
    vin             String,
    origin          LowCardinality(String),
    lat             Nullable(Float64) codec(Gorilla, Default),
    lng             Nullable(Float64) codec(Gorilla, Default),
    speed_mph       Nullable(Float32) codec(Delta, Default),
    heading         Nullable(Int16),
    altitude_ft     Nullable(Float32),
    odometer        Nullable(Float64) codec(Delta, Default),
    fuel_pct        Nullable(Float32),
    battery_v       Nullable(Float32) codec(Gorilla, Default),
    dtc_codes       Array(LowCardinality(String)),
    dtc_known       Bool,
    event_id        Int32,
    priority        Nullable(Int16),
    satellites      Nullable(Int16),
    hdop            Nullable(Float32),
    is_valid        Nullable(Bool),
    ignition        Nullable(Bool),
    movement        Nullable(Bool),
    rpm             Nullable(Int32),
    coolant_c       Nullable(Int16),
    engine_load_pct Nullable(Int16),
    maf_gps         Nullable(Float32),
    ambient_c       Nullable(Int16),
    fuel_trim_pct   Nullable(Int16),
    hv_soc_pct      Nullable(Int16),
    odometer_gnss_m Nullable(Int64) codec(Delta, Default),
    odometer_can_m  Nullable(Int64) codec(Delta, Default),
    odometer_obd_m  Nullable(Int64) codec(Delta, Default),
    odometer_source LowCardinality(Nullable(String)),
    crank_v         Nullable(Float32) codec(Gorilla, Default),
    charge_v        Nullable(Float32) codec(Gorilla, Default),
    harsh_kind      Nullable(Int16),
    harsh_value     Nullable(Float32),
    raw_data        String,
    received_at     DateTime64(3, 'UTC') codec(DoubleDelta, Default),
    content_hash    Int64,
    stream_position Int64 codec(Delta, Default)
)
engine = MergeTree
partition by toYYYYMMDD(time)
order by (vin, time)
comment 'One row per AVL record or posted reading, whole days swapped in by the merge rule.';
