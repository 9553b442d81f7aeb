{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    engine='MergeTree()',
    partition_by='toYYYYMM(date)',
    order_by='(vin, date, source)',
    on_schema_change='append_new_columns',
    meta={'day_column': 'date', 'days_before': 0, 'days_after': 0},
) }}

with records as (

    select
        vin,
        device_id,
        recorded_at,
        recorded_date,
        stream_position,
        origin,
        odometer_source,
        odometer_gnss_m,
        odometer_can_m,
        odometer_obd_m
    from {{ ref('stg_telemetry__records') }}
    where
        {{ recorded_in_run_days('recorded_at') }}
        and (odometer_gnss_m is not null or odometer_can_m is not null or odometer_obd_m is not null)

),

unfolded as (

    select
        *,
        arrayJoin([
            ('gps_continuous', odometer_gnss_m, 'gnss'),
            ('can', odometer_can_m, 'can'),
            ('obd', odometer_obd_m, 'obd')
        ]) as reading
    from records

),

readings as (

    select
        *,
        tupleElement(reading, 1) as source,
        tupleElement(reading, 2) as metres,
        tupleElement(reading, 3) as installation_source
    from unfolded

)

select
    recorded_date as date,
    cast(vin as String) as vin,
    cast(source as LowCardinality(String)) as source,
    assumeNotNull(argMax(metres, (recorded_at, stream_position))) / {{ metres_per_mile() }} as odometer,
    assumeNotNull(argMin(metres, (recorded_at, stream_position))) / {{ metres_per_mile() }} as first_odometer,
    toUInt32(count()) as reading_count,
    max(recorded_at) as last_read_at,
    cast(max(origin) as LowCardinality(String)) as origin,
    cast(max(coalesce(odometer_source = installation_source, false)) as Bool) as is_primary,
    toUInt16(least(uniqExact(device_id), 65535)) as device_count
from readings
where metres is not null
group by date, vin, source
