{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    engine='MergeTree()',
    partition_by='toYYYYMM(date)',
    order_by='(vin, date)',
    on_schema_change='fail',
    meta={'day_column': 'date', 'days_before': 1, 'days_after': 1},
) }}

with reported as (

    select
        date,
        vin,
        max(origin) as origin,
        sum(record_count) as record_count,
        sum(gap_segment_count) as gap_segment_count,
        sum(hard_brake_count) as hard_brake_count,
        sum(hard_accel_count) as hard_accel_count,
        length(groupUniqArrayArray(dtc_codes)) as dtc_count,
        max(is_dtc_known) as is_dtc_known
    from {{ ref('int_device_days_counted') }}
    where {{ in_run_days('date', before=1, after=1) }}
    group by date, vin

),

classified as (

    select * from {{ ref('int_vehicle_days_classified') }}
    where {{ in_run_days('date', before=1, after=1) }}

),

driven as (

    -- the day's part of its own trips and of those that came over midnight
    select
        date,
        vin,
        round(sum(distance_m), 3) as distance_m,
        round(sum(distance_gps_m), 3) as distance_gps_m,
        round(sum(driving_s), 3) as driving_s
    from {{ ref('int_trip_days_measured') }}
    where
        {{ in_run_days('start_date', before=2, after=1) }}
        and {{ in_run_days('date', before=1, after=1) }}
    group by date, vin

),

started as (

    select
        start_date as date,
        vin,
        count() as trip_count
    from {{ ref('trips') }}
    where {{ in_run_days('start_date', before=1, after=1) }}
    group by date, vin

),

odometers as (

    select
        date,
        vin,
        toNullable(any(odometer - first_odometer) * {{ metres_per_mile() }}) as distance_odometer_m
    from {{ ref('odometer_readings') }}
    where is_primary and {{ in_run_days('date', before=1, after=1) }}
    group by date, vin
    -- on the day of a new installation two sources can be primary; then the day has no one odometer
    having count() = 1

)

select
    reported.date as date,
    cast(reported.vin as String) as vin,
    toUInt32(round(driven.distance_m / {{ metres_per_mile() }})) as total_miles,
    toFloat32(if(driven.driving_s > 0, driven.distance_m / driven.driving_s / {{ mps_per_mph() }}, 0)) as avg_speed,
    toUInt16(least(reported.hard_brake_count, 65535)) as hard_brakes,
    toUInt16(least(reported.hard_accel_count, 65535)) as hard_accels,
    toUInt16(least(reported.dtc_count, 65535)) as dtc_count,
    toUInt16(least(started.trip_count, 65535)) as trip_count,
    driven.distance_m as distance_m,
    driven.distance_gps_m as distance_gps_m,
    odometers.distance_odometer_m as distance_odometer_m,
    driven.driving_s as driving_s,
    toUInt32(reported.record_count) as record_count,
    toUInt16(least(reported.gap_segment_count, 65535)) as gap_segment_count,
    cast(classified.boundary_source as LowCardinality(String)) as boundary_source,
    cast(classified.reports_harsh_events as Bool) as reports_harsh_events,
    cast(reported.is_dtc_known as Bool) as is_dtc_known,
    cast(reported.origin as LowCardinality(String)) as origin
from reported
inner join classified on reported.date = classified.date and reported.vin = classified.vin
-- the profile sets join_use_nulls = 0: where nothing matches, sums and counts are 0 and the odometer is null
left join driven on reported.date = driven.date and reported.vin = driven.vin
left join started on reported.date = started.date and reported.vin = started.vin
left join odometers on reported.date = odometers.date and reported.vin = odometers.vin
