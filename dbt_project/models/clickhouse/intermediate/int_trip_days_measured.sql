{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    engine='MergeTree()',
    partition_by='toYYYYMM(start_date)',
    order_by='(vin, started_at, date)',
    on_schema_change='append_new_columns',
    meta={'day_column': 'start_date', 'days_before': 1, 'days_after': 1},
) }}
{#
  Which trips can the records of days [a, b) change? Those that start on a - 1 (and run into a) to those that
  start on b (and might now have begun before). The earliest needs all of a - 2, because a day without any break
  opens a new trip at its end, and two hours more, the longest silence inside a trip; the latest may run through
  b + 1. Nothing outside that window has a say, so the order of runs has none either, once all days are built.
#}
{% set longest_silence_ms = 2 * 60 * 60 * 1000 %}
{% set longest_step_ms = 60 * 1000 %}
{% set longest_tunnel_ms = 30 * 60 * 1000 %}
{% set tunnel_mph = 20 %}
{% set tunnel_mps = 5.5 %}
{# faster than any road vehicle (324 km/h): a fix that leapt. Receivers repeat a fix for some seconds #}
{% set oldest_fix_s = 10 %}
{% set fastest_mps = 90 %}

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
        lat_deg,
        lng_deg,
        odometer_mi,
        odometer_source
    from {{ ref('stg_telemetry__records') }}
    where {{ recorded_in_run_days('recorded_at', before=2, after=2, context_hours=2) }}

),

classified as (

    select
        date,
        vin,
        device_id,
        boundary_source,
        gap_ms,
        is_shadowed
    from {{ ref('int_device_days_classified') }}
    where {{ in_run_days('date', before=3, after=2) }}

),

labelled as (

    select
        records.*,
        -- of days that are not built yet nothing better is known
        if(classified.boundary_source = '', 'movement', classified.boundary_source) as boundary_source,
        greatest(classified.gap_ms, 300000) as gap_ms,
        -- under way, or the engine runs; not while it is towed
        coalesce(records.rpm > 0, false) or (
            coalesce(records.speed_mph >= {{ moving_mph() }}, false)
            and not coalesce(records.rpm = 0 and not records.is_ignition_on, false)
        ) as is_active
    from records
    left join classified
        on
            records.vin = classified.vin
            and records.device_id = classified.device_id
            and records.recorded_date = classified.date
    where not classified.is_shadowed

),

sequenced as (

    select
        *,
        lagInFrame(toNullable(recorded_at)) over here as previous_recorded_at,
        lagInFrame(trip_mark) over here as previous_trip_mark,
        lagInFrame(is_active) over here as previous_is_active,
        anyLast(if(is_active, toNullable(recorded_at), null)) over before_here as active_since,
        leadInFrame(is_active) over and_next as next_is_active,
        leadInFrame(recorded_at) over and_next as next_recorded_at,
        anyLast(is_ignition_on) over before_here as previous_is_ignition_on,
        anyLast(if(speed_mph is null, null, recorded_at)) over before_here as speed_since,
        anyLast(speed_mph) over before_here as previous_speed_mph,
        anyLast(rpm) over before_here as previous_rpm,
        anyLast(if(lat_deg is null or lng_deg is null, null, recorded_at)) over before_here as fix_since,
        anyLast(if(lng_deg is null, null, lat_deg)) over before_here as previous_lat_deg,
        anyLast(if(lat_deg is null, null, lng_deg)) over before_here as previous_lng_deg
    from labelled
    window
        here as (
            partition by vin order by recorded_at, stream_position
            rows between 1 preceding and current row
        ),
        and_next as (
            partition by vin order by recorded_at, stream_position
            rows between current row and 1 following
        ),
        before_here as (
            partition by vin order by recorded_at, stream_position
            rows between unbounded preceding and 1 preceding
        )

),

-- by movement alone: a trip opens with the last standing record before the car sets off, goes through a tunnel,
-- and is over when the car was seen standing for longer than the gap
moved as (

    select
        *,
        coalesce(
            dateDiff('millisecond', previous_recorded_at, recorded_at), {{ longest_silence_ms }} + 1
        ) as silence_ms,
        coalesce(
            dateDiff('millisecond', active_since, recorded_at), {{ longest_silence_ms }} + 1
        ) as away_ms,
        {{ haversine_m('previous_lat_deg', 'previous_lng_deg', 'lat_deg', 'lng_deg') }} as fix_step_m,
        dateDiff('millisecond', fix_since, recorded_at) / 1000 as fix_step_s,
        -- a silence under way at both ends, with the road in between: no parking
        coalesce(
            away_ms <= {{ longest_tunnel_ms }} and speed_mph >= {{ tunnel_mph }}
            and previous_speed_mph >= {{ tunnel_mph }} and fix_step_m >= {{ tunnel_mps }} * fix_step_s, false
        ) as is_tunnel,
        if(
            is_active,
            not is_tunnel and not (
                not previous_is_active and silence_ms <= {{ longest_step_ms }} and away_ms - silence_ms > gap_ms
            ),
            next_is_active and dateDiff('millisecond', recorded_at, next_recorded_at) <= {{ longest_step_ms }}
        ) and away_ms > gap_ms as sets_off,
        not is_active and not sets_off and (
            (speed_mph is not null and away_ms > gap_ms) or away_ms > {{ longest_tunnel_ms }}
        ) as is_parked
    from sequenced

),

judged as (

    select
        *,
        coalesce(is_ignition_on, previous_is_ignition_on, false) as ignition,
        silence_ms <= {{ longest_silence_ms }} and coalesce(previous_is_ignition_on, false) as previous_ignition,
        multiIf(
            boundary_source = 'device', coalesce(trip_mark = 1, false),
            boundary_source = 'ignition', ignition and not previous_ignition,
            sets_off
        ) as opens_trip,
        multiIf(
            boundary_source = 'device', coalesce(previous_trip_mark = 0, false),
            boundary_source = 'ignition', not ignition and not previous_ignition,
            is_parked
        ) as follows_trip,
        opens_trip or follows_trip or silence_ms > {{ longest_silence_ms }} as breaks
    from moved

),

measured as (

    select
        vin,
        origin,
        boundary_source,
        recorded_at,
        recorded_date,
        stream_position,
        ignition,
        breaks,
        opens_trip,
        speed_mph,
        lat_deg,
        lng_deg,
        odometer_mi,
        odometer_source,
        speed_since,
        fix_since,
        speed_mph = 0 and previous_speed_mph = 0 and coalesce(rpm > 0, previous_rpm > 0, ignition) as is_idle,
        if(speed_mph is null, null, dateDiff('millisecond', speed_since, recorded_at)) as step_ms,
        (previous_speed_mph + speed_mph) / 2 * {{ mps_per_mph() }} * step_ms / 1000 as step_m,
        if(fix_step_m <= {{ fastest_mps }} * greatest(fix_step_s, {{ oldest_fix_s }}), fix_step_m, null) as fix_step_m
    from judged

),

bounded as (

    select
        *,
        row_number() over up_to_here as record_number,
        max(if(breaks, recorded_at, toDateTime64(0, 3, 'UTC'))) over up_to_here as last_break_at,
        anyLast(if(breaks, toNullable(opens_trip), null)) over up_to_here as last_break_opens_trip
    from measured
    window up_to_here as (
        partition by vin order by recorded_at, stream_position
        rows between unbounded preceding and current row
    )

),

-- a tracker that never pauses would make one endless trip, and no bounded run could find its start: after a
-- day without any break, midnight is one. Whether a device holds a trip open cannot be known then; what follows
-- is one if it is under way (macros/trips.sql)
segmented as (

    select
        *,
        last_break_at < toStartOfDay(recorded_at) - interval 1 day as is_after_unbroken_day,
        if(is_after_unbroken_day, toDateTime64(recorded_date, 3, 'UTC'), last_break_at) as segment_since,
        if(
            is_after_unbroken_day,
            boundary_source != 'ignition' or ignition,
            coalesce(last_break_opens_trip, false)
        ) as is_trip,
        -- midnight cuts trips, not the road: the step over it counts, for the new day
        coalesce(step_ms <= {{ longest_step_ms }} and speed_since >= last_break_at, false) as is_step_counted,
        coalesce(fix_since >= last_break_at, false) as is_fix_step_counted
    from bounded

),

trip_days as (

    select
        vin,
        segment_since,
        recorded_date,
        max(is_after_unbroken_day) as is_opened_by_midnight,
        max(origin) as origin,
        argMin(boundary_source, record_number) as boundary_source,
        count() as record_count,
        min(recorded_at) as first_recorded_at,
        max(recorded_at) as last_recorded_at,
        -- to the millimetre: threads add up in any order, and a rerun must give the same number
        round(sumIf(coalesce(step_m, 0), is_step_counted), 3) as distance_m,
        sumIf(coalesce(step_ms, 0), is_step_counted) / 1000 as driving_s,
        sumIf(coalesce(step_ms, 0), is_step_counted and coalesce(is_idle, false)) / 1000 as idle_s,
        round(sumIf(coalesce(fix_step_m, 0), is_fix_step_counted), 3) as distance_gps_m,
        max(speed_mph) as max_speed_mph,
        argMinOrNullIf(lat_deg, record_number, lat_deg is not null) as first_lat_deg,
        argMinOrNullIf(lng_deg, record_number, lng_deg is not null) as first_lng_deg,
        argMaxOrNullIf(lat_deg, record_number, lat_deg is not null) as last_lat_deg,
        argMaxOrNullIf(lng_deg, record_number, lng_deg is not null) as last_lng_deg,
        argMinOrNullIf(odometer_mi, record_number, odometer_mi is not null) as first_odometer_mi,
        argMaxOrNullIf(odometer_mi, record_number, odometer_mi is not null) as last_odometer_mi,
        arraySort(
            groupUniqArrayIf(assumeNotNull(toString(odometer_source)), odometer_source is not null)
        ) as odometer_sources
    from segmented
    where is_trip
    group by vin, segment_since, recorded_date

)

select
    toDate(segment_since) as start_date,
    vin,
    if(is_opened_by_midnight, first_recorded_at, segment_since) as started_at,
    recorded_date as date,
    origin,
    boundary_source,
    toUInt32(record_count) as record_count,
    first_recorded_at,
    last_recorded_at,
    distance_m,
    driving_s,
    distance_gps_m,
    max_speed_mph,
    first_lat_deg,
    first_lng_deg,
    last_lat_deg,
    last_lng_deg,
    first_odometer_mi,
    last_odometer_mi,
    odometer_sources,
    toNullable(idle_s) as idle_s,
    cast(is_opened_by_midnight as Bool) as is_opened_by_midnight
from trip_days
where
    {{ in_run_days('start_date', before=1, after=1) }}
    and date <= start_date + 1
