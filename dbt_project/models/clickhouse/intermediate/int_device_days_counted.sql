{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    engine='MergeTree()',
    partition_by='toYYYYMM(date)',
    order_by='(vin, date, device_id)',
    on_schema_change='append_new_columns',
    meta={'day_column': 'date', 'days_before': 1, 'days_after': 1},
) }}

with records as (

    select
        vin,
        device_id,
        origin,
        recorded_at,
        recorded_date,
        stream_position,
        trip_mark,
        is_ignition_on,
        speed_mph,
        rpm,
        harsh_kind,
        dtc_codes,
        is_dtc_known
    from {{ ref('stg_telemetry__records') }}
    where {{ recorded_in_run_days('recorded_at', before=1, after=1, context_hours=2) }}

),

spaced as (

    select
        *,
        lagInFrame(toNullable(recorded_at)) over (
            partition by vin, device_id order by recorded_at, stream_position
            rows between 1 preceding and current row
        ) as previous_recorded_at
    from records

)

select
    recorded_date as date,
    vin,
    device_id,
    max(origin) as origin,
    toUInt32(count()) as record_count,
    toUInt32(countIf(trip_mark in (0, 1))) as trip_mark_count,
    toUInt32(countIf(is_ignition_on is not null)) as ignition_count,
    toUInt32(countIf(
        previous_recorded_at is null or dateDiff('millisecond', previous_recorded_at, recorded_at) > 300000
    )) as gap_segment_count,
    toUInt32(countIf(harsh_kind = 1)) as hard_accel_count,
    toUInt32(countIf(harsh_kind = 2)) as hard_brake_count,
    toUInt32(countIf(harsh_kind is not null)) as harsh_event_count,
    arraySort(groupUniqArrayArray(dtc_codes)) as dtc_codes,
    max(is_dtc_known) as is_dtc_known,
    toUInt32(countIf(is_ignition_on = true)) as ignition_on_count,
    toUInt32(countIf(is_ignition_on = false)) as ignition_off_count,
    toUInt32(countIf(speed_mph >= {{ moving_mph() }})) as moving_count,
    -- an engine that is known to stand still makes it a tow, and says nothing against the wire
    toUInt32(countIf(
        speed_mph >= {{ moving_mph() }} and is_ignition_on = false and coalesce(rpm, 1) > 0
    )) as moving_off_count,
    quantileExactOrNullIf(
        assumeNotNull(dateDiff('millisecond', previous_recorded_at, recorded_at)),
        speed_mph >= {{ moving_mph() }} and previous_recorded_at >= recorded_at - interval 2 hour
    ) / 1000 as step_under_way_s,
    min(recorded_at) as first_recorded_at,
    max(recorded_at) as last_recorded_at
from spaced
where {{ in_run_days('recorded_date', before=1, after=1) }}
group by date, vin, device_id
