{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    engine='MergeTree()',
    partition_by='toYYYYMM(start_date)',
    order_by='(vin, start_date, started_at)',
    on_schema_change='fail',
    meta={'day_column': 'start_date', 'days_before': 1, 'days_after': 1},
) }}
{#
  Records of days [a, b) can change starts of a - 1 (whose trips run into a) to b (which begin after the last
  record of b - 1). The earliest needs the ignition as it was up to a day before it, the latest may run to the
  end of b + 1. Nothing outside that window has a say, so the order of runs has none either.
#}
{% set longest_silence_ms = 2 * 60 * 60 * 1000 %}
{% set charged_after_ms = 60 * 1000 %}
{% set crank_ms = 5 * 1000 %}
{% set highest_rest_v = 13.2 %}

with records as (

    select
        vin,
        device_id,
        origin,
        recorded_at,
        recorded_date,
        stream_position,
        event_id,
        is_ignition_on,
        battery_v,
        ambient_c
    from {{ ref('stg_telemetry__records') }}
    where
        {{ recorded_in_run_days('recorded_at', before=2, after=2) }}
        and (is_ignition_on is not null or battery_v is not null)

),

sequenced as (

    select
        *,
        lagInFrame(toNullable(recorded_at)) over here as previous_recorded_at,
        anyLast(is_ignition_on) over before_here as previous_is_ignition_on,
        anyLast(if(is_ignition_on is null, null, recorded_at)) over before_here as ignition_since
    from records
    window
        here as (
            partition by vin, device_id order by recorded_at, stream_position
            rows between 1 preceding and current row
        ),
        before_here as (
            partition by vin, device_id order by recorded_at, stream_position
            rows between unbounded preceding and 1 preceding
        )

),

judged as (

    select
        *,
        -- the ignition's own event says it, or a change against what the device said within the last day
        coalesce(
            is_ignition_on and (
                event_id = 239 or (not previous_is_ignition_on and ignition_since >= recorded_at - interval 1 day)
            ), false
        ) as is_start,
        is_start or coalesce(
            dateDiff('millisecond', previous_recorded_at, recorded_at) > {{ longest_silence_ms }}, false
        ) as breaks
    from sequenced

),

bounded as (

    select
        *,
        max(if(breaks, recorded_at, toDateTime64(0, 3, 'UTC'))) over up_to_here as started_at,
        anyLast(if(breaks, toNullable(is_start), null)) over up_to_here as is_begun_by_start
    from judged
    window up_to_here as (
        partition by vin, device_id order by recorded_at, stream_position
        rows between unbounded preceding and current row
    )

),

timed as (

    select
        *,
        toDate(started_at) as start_date,
        dateDiff('millisecond', started_at, recorded_at) as since_start_ms
    from bounded
    where coalesce(is_begun_by_start, false) and recorded_date <= toDate(started_at) + 1

),

starts as (

    select
        vin,
        device_id,
        start_date,
        started_at,
        max(origin) as origin,
        -- without a record that says off, what was seen of the trip
        coalesce(
            minOrNullIf(since_start_ms, is_ignition_on = false), maxIf(since_start_ms, is_ignition_on = true)
        ) as engine_on_ms,
        anyIf(battery_v, is_start and battery_v < {{ highest_rest_v }}) as rest_v,
        minIf(battery_v, since_start_ms > 0 and since_start_ms <= {{ crank_ms }}) as lowest_v,
        -- to the microvolt: threads add up in any order, and a rerun must give the same number
        round(avgIf(battery_v, is_ignition_on and since_start_ms >= {{ charged_after_ms }}), 6) as charge_v,
        anyIf(ambient_c, is_start) as ambient_c
    from timed
    group by vin, device_id, start_date, started_at

)

select
    start_date,
    vin,
    device_id,
    started_at,
    origin,
    engine_on_ms / 1000 as engine_on_s,
    rest_v,
    if(lowest_v < rest_v, lowest_v, null) as crank_v,
    charge_v,
    ambient_c
from starts
where {{ in_run_days('start_date', before=1, after=1) }}
