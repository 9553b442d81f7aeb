{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    engine='MergeTree()',
    partition_by='toYYYYMM(start_date)',
    order_by='(vin, started_at)',
    on_schema_change='append_new_columns',
    meta={'day_column': 'start_date', 'days_before': 1, 'days_after': 1},
) }}

with trip_days as (

    select * from {{ ref('int_trip_days_measured') }}
    where {{ in_run_days('start_date', before=1, after=1) }}

),

summed as (

    select
        vin,
        started_at,
        start_date,
        max(last_recorded_at) as ended_at,
        argMin(boundary_source, date) as boundary_source,
        round(sum(distance_m), 3) as distance_m,
        round(sum(distance_gps_m), 3) as distance_gps_m,
        argMinOrNullIf(first_odometer_mi, date, first_odometer_mi is not null) as first_odometer_mi,
        argMaxOrNullIf(last_odometer_mi, date, last_odometer_mi is not null) as last_odometer_mi,
        groupUniqArrayArray(odometer_sources) as odometer_sources,
        max(max_speed_mph) as max_speed_mph,
        round(sum(driving_s), 3) as driving_s,
        round(sum(idle_s), 3) as idle_s,
        argMinOrNullIf(first_lat_deg, date, first_lat_deg is not null) as start_lat,
        argMinOrNullIf(first_lng_deg, date, first_lng_deg is not null) as start_lng,
        argMaxOrNullIf(last_lat_deg, date, last_lat_deg is not null) as end_lat,
        argMaxOrNullIf(last_lng_deg, date, last_lng_deg is not null) as end_lng,
        sum(record_count) as record_count,
        max(is_opened_by_midnight) as is_opened_by_midnight,
        max(origin) as origin
    from trip_days
    group by vin, started_at, start_date

),

compared as (

    select
        *,
        if(length(odometer_sources) = 1, odometer_sources[1], '') as odometer_source,
        if(
            length(odometer_sources) = 1 and last_odometer_mi >= first_odometer_mi,
            (last_odometer_mi - first_odometer_mi) * {{ metres_per_mile() }}, null
        ) as distance_odometer_m,
        driving_s / greatest(dateDiff('millisecond', started_at, ended_at) / 1000, 0.001) as speed_coverage,
        {{ chosen_distance(
            'odometer_source', 'distance_odometer_m', 'distance_m', 'distance_gps_m', 'speed_coverage'
        ) }} as chosen
    from summed

)

select
    cast(vin as String) as vin,
    lower(hex(sipHash64(vin, toUnixTimestamp64Milli(started_at)))) as trip_id,
    started_at,
    ended_at,
    start_date,
    cast(boundary_source as LowCardinality(String)) as boundary_source,
    distance_m,
    distance_gps_m,
    distance_odometer_m,
    max_speed_mph,
    if(driving_s > 0, toFloat32(distance_m / driving_s / {{ mps_per_mph() }}), null) as avg_speed_mph,
    driving_s,
    start_lat,
    start_lng,
    end_lat,
    end_lng,
    toUInt32(record_count) as record_count,
    cast(origin as LowCardinality(String)) as origin,
    idle_s,
    toNullable(tupleElement(chosen, 1)) as chosen_distance_m,
    cast(tupleElement(chosen, 2) as LowCardinality(String)) as chosen_distance_by,
    cast(tupleElement(chosen, 3) as LowCardinality(String)) as chosen_distance_reason
from compared
where {{ is_counted_trip('boundary_source', 'is_opened_by_midnight', 'record_count', 'max_speed_mph') }}
