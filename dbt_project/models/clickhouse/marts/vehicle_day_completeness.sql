{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    engine='MergeTree()',
    partition_by='toYYYYMM(date)',
    order_by='(vin, date)',
    on_schema_change='fail',
    meta={'day_column': 'date', 'days_before': 0, 'days_after': 1},
) }}
{% set longest_step_ms = 60 * 1000 %}

with records as (

    select
        vin,
        device_id,
        origin,
        recorded_at,
        recorded_date,
        received_at,
        stream_position,
        has_fix,
        speed_mph,
        is_ignition_on
    from {{ ref('stg_telemetry__records') }}
    where {{ recorded_in_run_days('recorded_at', after=1, context_hours=2) }}

),

sequenced as (

    select
        *,
        lagInFrame(toNullable(recorded_at)) over here as previous_recorded_at,
        -- what lies further back than the run reads has no say, or a day's answer would depend on its run
        coalesce(previous_recorded_at >= toStartOfDay(recorded_at) - interval 2 hour, false) as has_predecessor,
        if(has_predecessor, dateDiff('millisecond', previous_recorded_at, recorded_at), null) as silence_ms,
        has_predecessor and lagInFrame(stream_position) over here > stream_position as came_before_its_predecessor,
        -- driving before and after: what is silent in between was missed
        (coalesce(speed_mph, 0) > 0 or coalesce(is_ignition_on, false))
        and (
            coalesce(lagInFrame(speed_mph) over here, 0) > 0
            or coalesce(lagInFrame(is_ignition_on) over here, false)
        ) as is_under_way,
        dateDiff('millisecond', recorded_at, received_at) / 1000 as delay_s
    from records
    window here as (
        partition by vin, device_id order by recorded_at, stream_position rows between 1 preceding and current row
    )

),

days as (

    select
        recorded_date as date,
        vin,
        max(origin) as origin,
        count() as record_count,
        uniqExact(device_id) as device_count,
        min(recorded_at) as first_recorded_at,
        max(recorded_at) as last_recorded_at,
        quantileExactOrNullIf(
            assumeNotNull(silence_ms), silence_ms is not null and silence_ms <= {{ longest_step_ms }}
        ) / 1000 as sampling_s,
        coalesce(maxOrNull(silence_ms), 0) / 1000 as longest_silence_s,
        sumIf(silence_ms, is_under_way and silence_ms <= {{ longest_step_ms }}) / 1000 as covered_s,
        sumIf(
            silence_ms, is_under_way and silence_ms > {{ longest_step_ms }} and silence_ms <= 7200000
        ) / 1000 as missed_s,
        countIf(
            is_under_way and silence_ms > {{ longest_step_ms }} and silence_ms <= 7200000
        ) as gap_count,
        countIf(coalesce(has_fix, true)) as fix_count,
        countIf(came_before_its_predecessor) as out_of_order_count,
        countIf(delay_s > 86400) as late_count,
        countIf(delay_s < -300) as ahead_count,
        quantileExact(delay_s) as median_delay_s,
        min(delay_s) as least_delay_s
    from sequenced
    where {{ in_run_days('recorded_date', after=1) }}
    group by date, vin

)

select
    date,
    cast(vin as String) as vin,
    toUInt32(record_count) as record_count,
    toUInt16(least(device_count, 65535)) as device_count,
    first_recorded_at,
    last_recorded_at,
    toNullable(toFloat32(sampling_s)) as sampling_s,
    toFloat64(longest_silence_s) as longest_silence_s,
    toFloat64(coalesce(covered_s, 0)) as covered_s,
    toFloat64(coalesce(missed_s, 0)) as missed_s,
    toUInt32(gap_count) as gap_count,
    if(
        coalesce(covered_s, 0) + coalesce(missed_s, 0) > 0,
        toNullable(toFloat32(coalesce(covered_s, 0) / (coalesce(covered_s, 0) + coalesce(missed_s, 0)))), null
    ) as completeness,
    toFloat32(fix_count / record_count) as fix_share,
    toUInt32(out_of_order_count) as out_of_order_count,
    if(origin = 'live', toNullable(toUInt32(late_count)), null) as late_count,
    if(origin = 'live', toNullable(toUInt32(ahead_count)), null) as ahead_count,
    if(origin = 'live', toNullable(toFloat64(median_delay_s)), null) as median_delay_s,
    cast(multiIf(
        origin != 'live', 'unknown',
        ahead_count > 0, 'ahead',
        least_delay_s > 3600, 'behind_or_late',
        'good'
    ) as LowCardinality(String)) as clock_quality,
    cast(origin as LowCardinality(String)) as origin
from days
