drop table if exists analytics.telemetry_of_values sync;
create table analytics.telemetry_of_values (
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
settings
    storage_policy = 'tiered',
    merge_with_recompression_ttl_timeout = 3600,
    auto_statistics_types = '',
    materialize_ttl_recalculate_only = 1
comment 'One row per AVL record or posted reading, whole days swapped in by the merge rule.';
insert into analytics.telemetry_of_values (
    dtc_known, time, device_id, lat, lng, speed_mph, heading, altitude_ft, odometer, fuel_pct, battery_v,
    dtc_codes, event_id, priority, satellites, hdop, is_valid, ignition, movement, rpm, coolant_c,
    engine_load_pct, maf_gps, ambient_c, fuel_trim_pct, hv_soc_pct, odometer_gnss_m, odometer_can_m,
    odometer_obd_m, odometer_source, crank_v, charge_v, harsh_kind, harsh_value, raw_data, received_at,
    content_hash, stream_position, vin, origin
)
select
    dtc_known, time, device_id, lat, lng, speed_mph, heading, altitude_ft, odometer, fuel_pct, battery_v,
    dtc_codes, event_id, priority, satellites, hdop, is_valid, ignition, movement, rpm, coolant_c,
    engine_load_pct, maf_gps, ambient_c, fuel_trim_pct, hv_soc_pct, odometer_gnss_m, odometer_can_m,
    odometer_obd_m, odometer_source, crank_v, charge_v, harsh_kind, harsh_value, raw_data, received_at,
    content_hash, stream_position, vin, origin
from analytics.telemetry
where _partition_id = {day:String};
exchange tables analytics.telemetry and analytics.telemetry_of_values;
drop table analytics.telemetry_of_values sync;
