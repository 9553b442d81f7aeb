{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    engine='MergeTree()',
    partition_by='toYYYYMM(as_of)',
    order_by='(vin, component, as_of)',
    on_schema_change='fail',
    meta={'day_column': 'as_of', 'days_before': 1, 'days_after': 1},
    query_settings={'max_insert_block_size': 131072, 'min_insert_block_size_rows': 131072},
) }}
{#
  The longest memory is a year (days_since_valid, newest_known_at), so a run reads a year before its days. Every
  as_of of that year is in the spine, because a window needs the row that it ends at; the run's own are kept.
#}
{% set memory_days = 365 %}

with signals as (

    select
        *,
        toDate(known_at) as known_date
    from {{ ref('component_day_signals') }}

),

vehicles as (

    select
        vin,
        max(origin) as origin,
        min(known_date) as first_known_date,
        max(known_date) as last_known_date
    from signals
    group by vin

),

spine as (

    select
        vin,
        origin,
        arrayJoin(range(
            toUInt32(greatest(first_known_date, toDate('{{ shifted_day(run_first_day(), -1 - memory_days) }}'))),
            toUInt32(least(
                last_known_date + {{ memory_days }} + 1, today() + 1, toDate('{{ shifted_day(run_until_day(), 1) }}')
            ))
        )) as as_of_day
    from vehicles

),

known as (

    select
        vin,
        toUInt32(known_date) as known_day,
        toNullable(date) as date,
        toNullable(known_at) as known_at,
        crank_min_v,
        crank_mean_v,
        {{ crank_resistance_mohm('rest_v', 'crank_mean_v', 'ambient_c') }} as resistance_mohm,
        rest_v,
        rest_min_v,
        charge_v,
        charge_min_v,
        ambient_c,
        toNullable(start_count) as start_count,
        toNullable(short_trip_count) as short_trip_count,
        distance_m,
        toNullable(engine_on_s) as engine_on_s,
        crank_count > 0 as is_valid,
        if(crank_count > 0, date, null) as valid_date,
        if(dtc_known, toNullable(length(dtc_codes) > 0), null) as has_dtc,
        if(dtc_known, toNullable(hasAny(dtc_codes, {{ battery_dtc_codes() }})), null) as has_battery_dtc,
        -- lowest voltage first, of equal ones the earlier day
        toInt64(round(crank_min_v * 1000000)) * 100000 + toUInt16(date) as crank_min_rank
    from signals
    where
        known_date >= '{{ shifted_day(run_first_day(), -1 - memory_days) }}'
        and known_date < '{{ shifted_day(run_until_day(), 1) }}'
        and known_date >= date
        and known_date <= date + {{ var('longest_lateness_days') }}

),

placed as (

    -- several days can become known on one; they are peers, and a range frame holds all of them
    select
        spine.vin as vin,
        spine.origin as origin,
        spine.as_of_day as as_of_day,
        known.* except (vin, known_day)
    from spine
    left join known on spine.vin = known.vin and spine.as_of_day = known.known_day

),

windowed as (

    select
        vin,
        origin,
        as_of_day,
        max(known_at) over d365 as newest_known_at,
        max(valid_date) over d365 as last_valid_date,

        min(crank_min_v) over d7 as crank_min_v_7d,
        min(crank_min_v) over d28 as crank_min_v_28d,
        min(crank_min_v) over d90 as crank_min_v_90d,
        argMin(tuple(date, ambient_c), crank_min_rank) over d28 as crank_min_day,
        avg(crank_mean_v) over d7 as crank_mean_v_7d,
        avg(crank_mean_v) over d28 as crank_mean_v_28d,
        avg(crank_mean_v) over d90 as crank_mean_v_90d,
        avg(crank_mean_v) over d180 as crank_mean_v_180d,
        stddevSamp(crank_mean_v) over d28 as crank_sd_v_28d,

        avg(resistance_mohm) over d7 as crank_resistance_mohm_7d,
        avg(resistance_mohm) over d28 as crank_resistance_mohm_28d,
        avg(resistance_mohm) over d90 as crank_resistance_mohm_90d,
        stddevSamp(resistance_mohm) over d28 as crank_resistance_sd_28d,
        avg(resistance_mohm) over d28_90_ago as crank_resistance_mohm_90d_ago,
        avg(resistance_mohm) over d28_180_ago as crank_resistance_mohm_180d_ago,

        avg(rest_v) over d7 as rest_v_7d,
        avg(rest_v) over d28 as rest_v_28d,
        avg(rest_v) over d90 as rest_v_90d,
        min(rest_min_v) over d28 as rest_min_v_28d,
        avg(rest_v) over d28_90_ago as rest_v_90d_ago,

        avg(charge_v) over d7 as charge_v_7d,
        avg(charge_v) over d28 as charge_v_28d,
        min(charge_min_v) over d28 as charge_min_v_28d,
        stddevSamp(charge_v) over d28 as charge_sd_v_28d,

        avg(start_count) over d28 as starts_per_day_28d,
        sum(start_count) over d28 as starts_28d,
        sum(short_trip_count) over d28 as short_trips_28d,
        sum(distance_m) over d28 as distance_m_28d,
        sum(engine_on_s) over d28 as engine_on_s_28d,

        avg(ambient_c) over d7 as ambient_c_7d,
        avg(ambient_c) over d28 as ambient_c_28d,
        min(ambient_c) over d28 as ambient_min_c_28d,
        avg(ambient_c) over d90 as ambient_c_90d,

        sum(is_valid) over d7 as valid_days_7d,
        sum(is_valid) over d28 as valid_days_28d,
        sum(is_valid) over d90 as valid_days_90d,
        sum(has_battery_dtc) over d28 as dtc_battery_days_28d,
        sum(has_dtc) over d28 as dtc_days_28d
    from placed
    window
        d7 as {{ known_window(7) }},
        d28 as {{ known_window(28) }},
        d90 as {{ known_window(90) }},
        d180 as {{ known_window(180) }},
        d365 as {{ known_window(365) }},
        d28_90_ago as {{ known_window(28, 90) }},
        d28_180_ago as {{ known_window(28, 180) }}

),

days as (

    select
        *,
        toDate(as_of_day) as as_of
    from windowed
    where {{ in_run_days('toDate(as_of_day)', before=1, after=1) }}
    -- peers have equal windows
    limit 1 by vin, as_of_day -- noqa: AM09

),

registered as (

    select
        vin,
        makeDate(toNullable(model_year), 1, 1) as new_since
    from {{ ref('stg_registry__vehicles') }}

),

replaced as (

    select
        vin,
        known_date,
        toNullable(last_performed_date) as last_performed_date
    from {{ ref('int_battery_replacements_known') }}

)

select
    cast(days.vin as String) as vin,
    cast('battery' as LowCardinality(String)) as component,
    days.as_of as as_of,
    cast(days.origin as LowCardinality(String)) as origin,
    days.newest_known_at as newest_known_at,
    days.crank_min_v_7d as crank_min_v_7d,
    days.crank_min_v_28d as crank_min_v_28d,
    days.crank_min_v_90d as crank_min_v_90d,
    {{ settled('days.crank_mean_v_7d') }} as crank_mean_v_7d,
    {{ settled('days.crank_mean_v_28d') }} as crank_mean_v_28d,
    {{ settled('days.crank_mean_v_90d') }} as crank_mean_v_90d,
    {{ settled('days.crank_mean_v_180d') }} as crank_mean_v_180d,
    {{ settled('days.crank_sd_v_28d') }} as crank_sd_v_28d,
    {{ settled('days.crank_resistance_mohm_7d') }} as crank_resistance_mohm_7d,
    {{ settled('days.crank_resistance_mohm_28d') }} as crank_resistance_mohm_28d,
    {{ settled('days.crank_resistance_mohm_90d') }} as crank_resistance_mohm_90d,
    {{ settled('days.crank_resistance_sd_28d') }} as crank_resistance_sd_28d,
    {{ settled('days.crank_resistance_mohm_28d - days.crank_resistance_mohm_90d_ago') }} as crank_resistance_delta_90d,
    {{ settled('days.crank_resistance_mohm_28d - days.crank_resistance_mohm_180d_ago') }}
        as crank_resistance_delta_180d,
    {{ settled('days.rest_v_7d') }} as rest_v_7d,
    {{ settled('days.rest_v_28d') }} as rest_v_28d,
    {{ settled('days.rest_v_90d') }} as rest_v_90d,
    days.rest_min_v_28d as rest_min_v_28d,
    {{ settled('days.rest_v_28d - days.rest_v_90d_ago') }} as rest_delta_90d,
    {{ settled('days.charge_v_7d') }} as charge_v_7d,
    {{ settled('days.charge_v_28d') }} as charge_v_28d,
    days.charge_min_v_28d as charge_min_v_28d,
    {{ settled('days.charge_sd_v_28d') }} as charge_sd_v_28d,
    {{ settled('days.starts_per_day_28d') }} as starts_per_day_28d,
    {{ settled('days.short_trips_28d / nullif(days.starts_28d, 0)') }} as short_trip_share_28d,
    {{ settled('days.distance_m_28d / 1000') }} as distance_km_28d,
    {{ settled('days.engine_on_s_28d / 3600') }} as engine_on_h_28d,
    {{ settled('days.ambient_c_7d') }} as ambient_c_7d,
    {{ settled('days.ambient_c_28d') }} as ambient_c_28d,
    days.ambient_min_c_28d as ambient_min_c_28d,
    {{ settled('days.ambient_c_90d') }} as ambient_c_90d,
    toNullable(toFloat64(days.valid_days_7d)) as valid_days_7d,
    toNullable(toFloat64(days.valid_days_28d)) as valid_days_28d,
    toNullable(toFloat64(days.valid_days_90d)) as valid_days_90d,
    toFloat64(days.as_of - days.last_valid_date) as days_since_valid,
    toFloat64(days.dtc_battery_days_28d) as dtc_battery_days_28d,
    toFloat64(days.dtc_days_28d) as dtc_days_28d,
    toFloat64(days.as_of - replaced.last_performed_date) as battery_age_days,
    {{ settled('if(days.as_of < registered.new_since, 0, days.as_of - registered.new_since) / 365.25') }}
        as vehicle_age_years,
    toNullable({{ settled('sin(2 * pi() * toDayOfYear(days.as_of) / 365.25)') }}) as season_sin,
    toNullable({{ settled('cos(2 * pi() * toDayOfYear(days.as_of) / 365.25)') }}) as season_cos,
    tupleElement(days.crank_min_day, 1) as crank_min_v_28d_date,
    tupleElement(days.crank_min_day, 2) as ambient_at_crank_min_c
from days
left join registered on days.vin = registered.vin
asof left join replaced on days.vin = replaced.vin and days.as_of >= replaced.known_date
