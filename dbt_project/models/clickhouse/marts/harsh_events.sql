{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    engine='MergeTree()',
    partition_by='toYYYYMM(date)',
    order_by='(vin, started_at, kind)',
    on_schema_change='fail',
    meta={'day_column': 'date', 'days_before': 1, 'days_after': 1},
) }}
{#
  Records of days [a, b) can change events of a - 1 (which last into a) to b (which might have begun before).
  An event lasts seconds, so an hour around is enough context.
#}
{% set standard_gravity = 9.80665 %}
{% set longest_step_ms = 2000 %}

with records as (

    select
        vin,
        device_id,
        origin,
        recorded_at,
        recorded_date,
        stream_position,
        content_hash,
        event_id,
        speed_mph,
        lat_deg,
        lng_deg,
        harsh_kind,
        harsh_value
    from {{ ref('stg_telemetry__records') }}
    where {{ recorded_in_run_days('recorded_at', before=1, after=1, context_hours=1, context_hours_after=1) }}

),

classified as (

    select
        date,
        vin,
        reports_harsh_events
    from {{ ref('int_vehicle_days_classified') }}
    where {{ in_run_days('date', before=2, after=2) }}

),

leading as (

    -- two devices in one car see the same braking a moment apart
    select
        date,
        vin,
        device_id
    from {{ ref('int_device_days_classified') }}
    where not is_shadowed and {{ in_run_days('date', before=2, after=2) }}

),

reported as (

    select
        vin,
        recorded_at as started_at,
        recorded_at as ended_at,
        recorded_date as date,
        transform(harsh_kind, [1, 2, 3], ['acceleration', 'braking', 'cornering'], 'unknown') as kind,
        'device' as source,
        -- AVL 254: hundredths of g when accelerating or braking; the unit of cornering varies with the device
        if(harsh_kind in (1, 2), round(toFloat64(harsh_value) / 100, 3), null) as peak_g,
        cast(null as Nullable(Float64)) as threshold_g,
        cast(null as Nullable(UInt32)) as sampling_ms,
        speed_mph,
        lat_deg,
        lng_deg,
        origin
    from records
    where harsh_kind in (1, 2, 3)
    -- a tracker may send two records of one moment; the event is one
    order by vin, device_id, recorded_at, harsh_kind, stream_position
    limit 1 by vin, device_id, recorded_at, harsh_kind

),

silent as (

    -- records with a speed, of vehicles whose devices of the day have never reported
    select records.*
    from records
    inner join classified on records.vin = classified.vin and records.recorded_date = classified.date
    where
        records.speed_mph is not null
        and not classified.reports_harsh_events
        and (records.vin, records.device_id, records.recorded_date) in (
            select (leading.vin, leading.device_id, leading.date) from leading
        )

),

spaced as (

    select
        *,
        toUnixTimestamp64Milli(recorded_at) as at_ms,
        dateDiff('millisecond', lagInFrame(toNullable(recorded_at)) over (
            partition by vin, device_id order by recorded_at, stream_position
            rows between 1 preceding and current row
        ), recorded_at) as step_ms
    from silent

),

compared as (

    -- two seconds for records a second apart, one for faster ones: over less, a bus that repeats its last value, or
    -- says 0 until a car rolls at 5 mph, looks like braking and accelerating (macros/harsh.sql)
    select
        *,
        count() over two_seconds as records_in_2_s,
        anyLast(speed_mph) over from_1_s as speed_1_s_before,
        anyLast(at_ms) over from_1_s as before_1_s_ms,
        anyLast(speed_mph) over from_2_s as speed_2_s_before,
        anyLast(at_ms) over from_2_s as before_2_s_ms
    from spaced
    window
        two_seconds as (partition by vin, device_id order by at_ms range between 2000 preceding and current row),
        from_1_s as (partition by vin, device_id order by at_ms range between 1500 preceding and 1000 preceding),
        from_2_s as (partition by vin, device_id order by at_ms range between 4000 preceding and 2000 preceding)

),

accelerated as (

    select
        *,
        records_in_2_s > {{ fast_records_in_2_s() }} as is_fast,
        if(is_fast, speed_1_s_before, speed_2_s_before) as speed_before_mph,
        if(is_fast, before_1_s_ms, before_2_s_ms) as before_ms,
        if(
            before_ms > 0 and speed_before_mph is not null,
            (speed_mph - speed_before_mph) * {{ mps_per_mph() }} * 1000 / (at_ms - before_ms)
            / {{ standard_gravity }},
            null
        ) as acceleration_g,
        {{ braking_threshold_g('is_fast') }} as braking_g,
        {{ acceleration_threshold_g('is_fast') }} as accelerating_g,
        multiIf(
            acceleration_g <= -braking_g, 'braking',
            acceleration_g >= accelerating_g, 'acceleration',
            ''
        ) as kind
    from compared
    where step_ms <= {{ longest_step_ms }}

),

begun as (

    select
        *,
        lagInFrame(kind) over here as previous_kind,
        lagInFrame(at_ms) over here as previous_at_ms,
        kind != '' and (kind != previous_kind or at_ms - previous_at_ms > {{ longest_step_ms }}) as begins
    from accelerated
    window here as (
        partition by vin, device_id order by at_ms, stream_position rows between 1 preceding and current row
    )

),

numbered as (

    select
        *,
        sum(begins) over (
            partition by vin, device_id order by at_ms, stream_position
            rows between unbounded preceding and current row
        ) as event_number
    from begun
    where kind != ''

),

derived as (

    select
        vin,
        min(recorded_at) as started_at,
        max(recorded_at) as ended_at,
        toDate(started_at) as date,
        any(kind) as kind,
        'derived' as source,
        toNullable(round(max(abs(acceleration_g)), 3)) as peak_g,
        toNullable(if(kind = 'braking', min(braking_g), min(accelerating_g))) as threshold_g,
        toNullable(toUInt32(round(2000 / max(records_in_2_s)))) as sampling_ms,
        argMin(speed_before_mph, at_ms) as speed_mph,
        argMinOrNullIf(lat_deg, at_ms, lat_deg is not null) as lat_deg,
        argMinOrNullIf(lng_deg, at_ms, lng_deg is not null) as lng_deg,
        max(origin) as origin
    from numbered
    group by vin, device_id, event_number
    -- held for a second record, half a second apart where they are fast, or so hard that one is enough
    having
        (count() > 1 and (not min(is_fast) or max(at_ms) - min(at_ms) >= 500))
        or peak_g >= 1.5 * threshold_g

),

events as (

    select * from reported
    union all
    select * from derived

)

select
    date,
    cast(vin as String) as vin,
    started_at,
    ended_at,
    cast(kind as LowCardinality(String)) as kind,
    cast(source as LowCardinality(String)) as source,
    peak_g,
    threshold_g,
    sampling_ms,
    speed_mph,
    lat_deg as lat,
    lng_deg as lng,
    cast(origin as LowCardinality(String)) as origin
from events
where {{ in_run_days('date', before=1, after=1) }}
-- two devices in one vehicle see the same event
order by vin asc, started_at asc, kind asc, peak_g desc, ended_at desc
limit 1 by vin, started_at, kind
