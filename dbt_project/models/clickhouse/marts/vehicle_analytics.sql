{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    engine='MergeTree()',
    partition_by='toYYYYMM(date)',
    order_by='(vin, date)',
    on_schema_change='append_new_columns',
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

parts as (

    select
        *,
        {{ is_counted_trip(
            'argMin(boundary_source, date) over whole_trip', 'max(is_opened_by_midnight) over whole_trip',
            'sum(record_count) over whole_trip', 'max(max_speed_mph) over whole_trip'
        ) }} as is_counted
    from {{ ref('int_trip_days_measured') }}
    where {{ in_run_days('start_date', before=2, after=1) }}
    window whole_trip as (partition by vin, started_at)

),

driven as (

    -- the day's part of its own trips and of those that came over midnight
    select
        date,
        vin,
        round(sum(distance_m), 3) as distance_m,
        round(sum(distance_gps_m), 3) as distance_gps_m,
        round(sum(driving_s), 3) as driving_s,
        round(sum(idle_s), 3) as idle_s,
        driving_s / greatest(sum(dateDiff('millisecond', first_recorded_at, last_recorded_at)) / 1000, 0.001)
            as speed_coverage
    from parts
    where is_counted and {{ in_run_days('date', before=1, after=1) }}
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
        if(any(source) = 'gps_continuous', 'gnss', any(source)) as odometer_source,
        any(odometer - first_odometer) * {{ metres_per_mile() }} as counted_m,
        -- a counter that was set back has no distance
        if(counted_m >= 0, toNullable(counted_m), null) as distance_odometer_m
    from {{ ref('odometer_readings') }}
    where is_primary and {{ in_run_days('date', before=1, after=1) }}
    group by date, vin
    -- on the day of a new installation two sources can be primary; then the day has no one odometer. Nor has it
    -- where two trackers count, each on its own
    having count() = 1 and (odometer_source != 'gnss' or max(device_count) = 1)

),

joined as (

    -- the profile sets join_use_nulls = 0: where nothing matches, sums and counts are 0 and the odometer is null
    select
        reported.date as date,
        reported.vin as vin,
        reported.origin as origin,
        reported.record_count as record_count,
        reported.gap_segment_count as gap_segment_count,
        reported.hard_brake_count as hard_brake_count,
        reported.hard_accel_count as hard_accel_count,
        reported.dtc_count as dtc_count,
        reported.is_dtc_known as is_dtc_known,
        classified.boundary_source as boundary_source,
        classified.reports_harsh_events as reports_harsh_events,
        driven.distance_m as distance_m,
        driven.distance_gps_m as distance_gps_m,
        driven.driving_s as driving_s,
        driven.idle_s as idle_s,
        started.trip_count as trip_count,
        odometers.distance_odometer_m as distance_odometer_m,
        {{ chosen_distance(
            'odometers.odometer_source', 'odometers.distance_odometer_m', 'driven.distance_m',
            'driven.distance_gps_m', 'driven.speed_coverage'
        ) }} as chosen
    from reported
    inner join classified on reported.date = classified.date and reported.vin = classified.vin
    left join driven on reported.date = driven.date and reported.vin = driven.vin
    left join started on reported.date = started.date and reported.vin = started.vin
    left join odometers on reported.date = odometers.date and reported.vin = odometers.vin

)

select
    date,
    cast(vin as String) as vin,
    toUInt32(round(distance_m / {{ metres_per_mile() }})) as total_miles,
    toFloat32(if(driving_s > 0, distance_m / driving_s / {{ mps_per_mph() }}, 0)) as avg_speed,
    toUInt16(least(hard_brake_count, 65535)) as hard_brakes,
    toUInt16(least(hard_accel_count, 65535)) as hard_accels,
    toUInt16(least(dtc_count, 65535)) as dtc_count,
    toUInt16(least(trip_count, 65535)) as trip_count,
    distance_m,
    distance_gps_m,
    distance_odometer_m,
    driving_s,
    toUInt32(record_count) as record_count,
    toUInt16(least(gap_segment_count, 65535)) as gap_segment_count,
    cast(boundary_source as LowCardinality(String)) as boundary_source,
    cast(reports_harsh_events as Bool) as reports_harsh_events,
    cast(is_dtc_known as Bool) as is_dtc_known,
    cast(origin as LowCardinality(String)) as origin,
    idle_s as idle_s,
    toNullable(tupleElement(chosen, 1)) as chosen_distance_m,
    cast(tupleElement(chosen, 2) as LowCardinality(String)) as chosen_distance_by,
    cast(tupleElement(chosen, 3) as LowCardinality(String)) as chosen_distance_reason
from joined
