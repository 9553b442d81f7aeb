-- Measured numbers as the integers that devices sent them as, the blueprint's units as ALIAS columns over them,
-- and the odometer in miles from its metres; what these do not give bit by bit stands in `stated`. The same
-- rows by the same names, a fifth smaller (docs/decisions/0020-kept-in-steps.md, warehouse.stored).
-- All rows are copied once, day by day, into a table beside, which needs room for them; a step that died begins
-- anew.
drop table if exists analytics.telemetry_of_steps sync;
create table analytics.telemetry_of_steps (
    time            DateTime64(3, 'UTC') codec(Delta, Default),
    device_id       String,
    vin             String,
    origin          LowCardinality(String),
    lat_e7          Nullable(Int32) codec(Delta, Default),
    lat             Nullable(Float64)
        alias multiIf(isNotNull(lat_e7), lat_e7 / toFloat64(10000000.0), mapContains(stated, 'lat'), stated['lat'], null),
    lng_e7          Nullable(Int32) codec(Delta, Default),
    lng             Nullable(Float64)
        alias multiIf(isNotNull(lng_e7), lng_e7 / toFloat64(10000000.0), mapContains(stated, 'lng'), stated['lng'], null),
    speed_kph       Nullable(UInt16) codec(Delta, Default),
    speed_mph       Nullable(Float32)
        alias multiIf(isNotNull(speed_kph), toFloat32(speed_kph * 1000 / toFloat64(1609.344)), mapContains(stated, 'speed_mph'), toFloat32(stated['speed_mph']), null),
    heading         Nullable(Int16),
    altitude_m      Nullable(Int16),
    altitude_ft     Nullable(Float32)
        alias multiIf(isNotNull(altitude_m), toFloat32(altitude_m / toFloat64(0.3048)), mapContains(stated, 'altitude_ft'), toFloat32(stated['altitude_ft']), null),
    odometer        Nullable(Float64)
        alias multiIf(mapContains(stated, 'odometer_is_null'), null, mapContains(stated, 'odometer'), stated['odometer'], multiIf(odometer_source = 'can', odometer_can_m, odometer_source = 'obd', odometer_obd_m, odometer_source = 'gnss', odometer_gnss_m, null) / toFloat64(1609.344)),
    fuel_pct        Nullable(Float32),
    battery_mv      Nullable(Int32),
    battery_v       Nullable(Float32)
        alias multiIf(isNotNull(battery_mv), toFloat32(battery_mv / toFloat64(1000.0)), mapContains(stated, 'battery_v'), toFloat32(stated['battery_v']), null),
    dtc_codes       Array(LowCardinality(String)),
    dtc_known       Bool,
    event_id        Int32,
    priority        Nullable(Int16),
    satellites      Nullable(Int16),
    hdop_tenths     Nullable(UInt16),
    hdop            Nullable(Float32)
        alias multiIf(isNotNull(hdop_tenths), toFloat32(hdop_tenths / toFloat64(10.0)), mapContains(stated, 'hdop'), toFloat32(stated['hdop']), null),
    is_valid        Nullable(Bool),
    ignition        Nullable(Bool),
    movement        Nullable(Bool),
    rpm             Nullable(Int32),
    coolant_c       Nullable(Int16),
    engine_load_pct Nullable(Int16),
    maf_cgps        Nullable(UInt16),
    maf_gps         Nullable(Float32)
        alias multiIf(isNotNull(maf_cgps), toFloat32(maf_cgps / toFloat64(100.0)), mapContains(stated, 'maf_gps'), toFloat32(stated['maf_gps']), null),
    ambient_c       Nullable(Int16),
    fuel_trim_pct   Nullable(Int16),
    hv_soc_pct      Nullable(Int16),
    odometer_gnss_m Nullable(Int64) codec(Delta, Default),
    odometer_can_m  Nullable(Int64) codec(Delta, Default),
    odometer_obd_m  Nullable(Int64) codec(Delta, Default),
    odometer_source LowCardinality(Nullable(String)),
    crank_mv        Nullable(Int32),
    crank_v         Nullable(Float32)
        alias multiIf(isNotNull(crank_mv), toFloat32(crank_mv / toFloat64(1000.0)), mapContains(stated, 'crank_v'), toFloat32(stated['crank_v']), null),
    charge_mv       Nullable(Int32),
    charge_v        Nullable(Float32)
        alias multiIf(isNotNull(charge_mv), toFloat32(charge_mv / toFloat64(1000.0)), mapContains(stated, 'charge_v'), toFloat32(stated['charge_v']), null),
    harsh_kind      Nullable(Int16),
    harsh_value     Nullable(Float32),
    raw_data        String,
    received_at     DateTime64(3, 'UTC') codec(Delta, Default),
    content_hash    Int64,
    stream_position Int64 codec(DoubleDelta, Default),
    stated          Map(LowCardinality(String), Float64)
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
insert into analytics.telemetry_of_steps (
    dtc_known, time, device_id, heading, fuel_pct, dtc_codes, event_id, priority, satellites, is_valid,
    ignition, movement, rpm, coolant_c, engine_load_pct, ambient_c, fuel_trim_pct, hv_soc_pct,
    odometer_gnss_m, odometer_can_m, odometer_obd_m, odometer_source, harsh_kind, harsh_value, raw_data,
    received_at, content_hash, stream_position, lat_e7, lng_e7, speed_kph, altitude_m, battery_mv,
    hdop_tenths, maf_cgps, crank_mv, charge_mv, stated, vin, origin
)
with
    accurateCastOrNull(round(toFloat64(row.lat) * toFloat64(10000000.0)), 'Int32') as lat_near,
    (isNull(lat_near / toFloat64(10000000.0)) = isNull(row.lat) and reinterpretAsUInt64(ifNull(lat_near / toFloat64(10000000.0), toFloat64(0))) = reinterpretAsUInt64(ifNull(row.lat, toFloat64(0)))) as lat_is_kept,
    accurateCastOrNull(round(toFloat64(row.lng) * toFloat64(10000000.0)), 'Int32') as lng_near,
    (isNull(lng_near / toFloat64(10000000.0)) = isNull(row.lng) and reinterpretAsUInt64(ifNull(lng_near / toFloat64(10000000.0), toFloat64(0))) = reinterpretAsUInt64(ifNull(row.lng, toFloat64(0)))) as lng_is_kept,
    accurateCastOrNull(round(toFloat64(row.speed_mph) * toFloat64(1609.344) / 1000), 'UInt16') as speed_mph_near,
    (isNull(toFloat32(speed_mph_near * 1000 / toFloat64(1609.344))) = isNull(row.speed_mph) and reinterpretAsUInt32(ifNull(toFloat32(speed_mph_near * 1000 / toFloat64(1609.344)), toFloat32(0))) = reinterpretAsUInt32(ifNull(row.speed_mph, toFloat32(0)))) as speed_mph_is_kept,
    accurateCastOrNull(round(toFloat64(row.altitude_ft) * toFloat64(0.3048)), 'Int16') as altitude_ft_near,
    (isNull(toFloat32(altitude_ft_near / toFloat64(0.3048))) = isNull(row.altitude_ft) and reinterpretAsUInt32(ifNull(toFloat32(altitude_ft_near / toFloat64(0.3048)), toFloat32(0))) = reinterpretAsUInt32(ifNull(row.altitude_ft, toFloat32(0)))) as altitude_ft_is_kept,
    accurateCastOrNull(round(toFloat64(row.battery_v) * toFloat64(1000.0)), 'Int32') as battery_v_near,
    (isNull(toFloat32(battery_v_near / toFloat64(1000.0))) = isNull(row.battery_v) and reinterpretAsUInt32(ifNull(toFloat32(battery_v_near / toFloat64(1000.0)), toFloat32(0))) = reinterpretAsUInt32(ifNull(row.battery_v, toFloat32(0)))) as battery_v_is_kept,
    accurateCastOrNull(round(toFloat64(row.hdop) * toFloat64(10.0)), 'UInt16') as hdop_near,
    (isNull(toFloat32(hdop_near / toFloat64(10.0))) = isNull(row.hdop) and reinterpretAsUInt32(ifNull(toFloat32(hdop_near / toFloat64(10.0)), toFloat32(0))) = reinterpretAsUInt32(ifNull(row.hdop, toFloat32(0)))) as hdop_is_kept,
    accurateCastOrNull(round(toFloat64(row.maf_gps) * toFloat64(100.0)), 'UInt16') as maf_gps_near,
    (isNull(toFloat32(maf_gps_near / toFloat64(100.0))) = isNull(row.maf_gps) and reinterpretAsUInt32(ifNull(toFloat32(maf_gps_near / toFloat64(100.0)), toFloat32(0))) = reinterpretAsUInt32(ifNull(row.maf_gps, toFloat32(0)))) as maf_gps_is_kept,
    accurateCastOrNull(round(toFloat64(row.crank_v) * toFloat64(1000.0)), 'Int32') as crank_v_near,
    (isNull(toFloat32(crank_v_near / toFloat64(1000.0))) = isNull(row.crank_v) and reinterpretAsUInt32(ifNull(toFloat32(crank_v_near / toFloat64(1000.0)), toFloat32(0))) = reinterpretAsUInt32(ifNull(row.crank_v, toFloat32(0)))) as crank_v_is_kept,
    accurateCastOrNull(round(toFloat64(row.charge_v) * toFloat64(1000.0)), 'Int32') as charge_v_near,
    (isNull(toFloat32(charge_v_near / toFloat64(1000.0))) = isNull(row.charge_v) and reinterpretAsUInt32(ifNull(toFloat32(charge_v_near / toFloat64(1000.0)), toFloat32(0))) = reinterpretAsUInt32(ifNull(row.charge_v, toFloat32(0)))) as charge_v_is_kept,
    (isNull(multiIf(row.odometer_source = 'can', row.odometer_can_m, row.odometer_source = 'obd', row.odometer_obd_m, row.odometer_source = 'gnss', row.odometer_gnss_m, null) / toFloat64(1609.344)) = isNull(row.odometer) and reinterpretAsUInt64(ifNull(multiIf(row.odometer_source = 'can', row.odometer_can_m, row.odometer_source = 'obd', row.odometer_obd_m, row.odometer_source = 'gnss', row.odometer_gnss_m, null) / toFloat64(1609.344), toFloat64(0))) = reinterpretAsUInt64(ifNull(row.odometer, toFloat64(0)))) as odometer_is_kept
select
    row.dtc_known as dtc_known, row.time as time, row.device_id as device_id, row.heading as heading,
    row.fuel_pct as fuel_pct, row.dtc_codes as dtc_codes, row.event_id as event_id, row.priority as
    priority, row.satellites as satellites, row.is_valid as is_valid, row.ignition as ignition, row.movement
    as movement, row.rpm as rpm, row.coolant_c as coolant_c, row.engine_load_pct as engine_load_pct,
    row.ambient_c as ambient_c, row.fuel_trim_pct as fuel_trim_pct, row.hv_soc_pct as hv_soc_pct,
    row.odometer_gnss_m as odometer_gnss_m, row.odometer_can_m as odometer_can_m, row.odometer_obd_m as
    odometer_obd_m, row.odometer_source as odometer_source, row.harsh_kind as harsh_kind, row.harsh_value as
    harsh_value, row.raw_data as raw_data, row.received_at as received_at, row.content_hash as content_hash,
    row.stream_position as stream_position,
    if(lat_is_kept, lat_near, null) as lat_e7,
    if(lng_is_kept, lng_near, null) as lng_e7,
    if(speed_mph_is_kept, speed_mph_near, null) as speed_kph,
    if(altitude_ft_is_kept, altitude_ft_near, null) as altitude_m,
    if(battery_v_is_kept, battery_v_near, null) as battery_mv,
    if(hdop_is_kept, hdop_near, null) as hdop_tenths,
    if(maf_gps_is_kept, maf_gps_near, null) as maf_cgps,
    if(crank_v_is_kept, crank_v_near, null) as crank_mv,
    if(charge_v_is_kept, charge_v_near, null) as charge_mv,
    if(lat_is_kept and lng_is_kept and speed_mph_is_kept and altitude_ft_is_kept and battery_v_is_kept and hdop_is_kept and maf_gps_is_kept and crank_v_is_kept and charge_v_is_kept and odometer_is_kept, cast(map(), 'Map(LowCardinality(String), Float64)'), cast(arrayMap(x -> (x.1, assumeNotNull(x.3)), arrayFilter(x -> not x.2, [
        ('lat', lat_is_kept, toFloat64(row.lat)),
        ('lng', lng_is_kept, toFloat64(row.lng)),
        ('speed_mph', speed_mph_is_kept, toFloat64(row.speed_mph)),
        ('altitude_ft', altitude_ft_is_kept, toFloat64(row.altitude_ft)),
        ('battery_v', battery_v_is_kept, toFloat64(row.battery_v)),
        ('hdop', hdop_is_kept, toFloat64(row.hdop)),
        ('maf_gps', maf_gps_is_kept, toFloat64(row.maf_gps)),
        ('crank_v', crank_v_is_kept, toFloat64(row.crank_v)),
        ('charge_v', charge_v_is_kept, toFloat64(row.charge_v)),
        ('odometer', odometer_is_kept, ifNull(row.odometer, 0.)),
        ('odometer_is_null', odometer_is_kept or isNotNull(row.odometer), 1.)])), 'Map(LowCardinality(String), Float64)')) as stated,
    row.vin as vin, row.origin as origin
from analytics.telemetry as row
where _partition_id = {day:String};
exchange tables analytics.telemetry and analytics.telemetry_of_steps;
drop table analytics.telemetry_of_steps sync;
