{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    engine='MergeTree()',
    partition_by='toYYYYMM(date)',
    order_by='(vin, date)',
    on_schema_change='fail',
    meta={'day_column': 'date', 'days_before': 1, 'days_after': 1},
) }}

with received as (

    select * from {{ ref('int_vehicle_days_received') }}

),

started as (

    select
        starts.start_date as date,
        starts.vin as vin,
        count() as start_count,
        count(starts.crank_v) as crank_count,
        min(starts.crank_v) as crank_min_v,
        -- to the microvolt: threads add up in any order, and a rerun must give the same number
        round(avg(starts.crank_v), 6) as crank_mean_v,
        round(avg(starts.rest_v), 6) as rest_v,
        min(starts.rest_v) as rest_min_v,
        round(avg(starts.charge_v), 6) as charge_v,
        min(starts.charge_v) as charge_min_v,
        round(avg(starts.ambient_c), 6) as ambient_c,
        round(sum(starts.engine_on_s), 3) as engine_on_s,
        countIf(starts.engine_on_s < 600) as short_trip_count
    from {{ ref('int_engine_starts_measured') }} as starts
    where {{ in_run_days('starts.start_date', before=1, after=1) }}
    group by date, vin

),

measured as (

    -- join_use_nulls = 0: on a day without a start the counts are 0 and the voltages null
    select
        received.vin as vin,
        received.date as date,
        received.origin as origin,
        if(
            received.origin = 'live',
            received.last_received_at,
            toDateTime64(received.date + 1, 3, 'UTC') + interval {{ var('modelled_lag_hours') }} hour
        ) as known_at,
        toUInt16(least(started.start_count, 65535)) as start_count,
        toUInt16(least(started.crank_count, 65535)) as crank_count,
        started.crank_min_v as crank_min_v,
        started.crank_mean_v as crank_mean_v,
        started.rest_v as rest_v,
        started.rest_min_v as rest_min_v,
        started.charge_v as charge_v,
        started.charge_min_v as charge_min_v,
        started.ambient_c as ambient_c,
        started.engine_on_s as engine_on_s,
        toUInt16(least(started.short_trip_count, 65535)) as short_trip_count,
        received.distance_m as distance_m,
        received.dtc_codes as dtc_codes,
        received.is_dtc_known as dtc_known,
        'telemetry' as source
    from received
    left join started on received.vin = started.vin and received.date = started.date

),

loaded as (

    -- of two loads of a day the newer counts, and none where there are records
    select
        vin,
        date,
        origin,
        known_at,
        start_count,
        crank_count,
        crank_min_v,
        crank_mean_v,
        rest_v,
        rest_min_v,
        charge_v,
        charge_min_v,
        ambient_c,
        engine_on_s,
        short_trip_count,
        distance_m,
        dtc_codes,
        dtc_known,
        'loaded' as source
    from {{ ref('stg_backfill__component_day_signals') }}
    where
        {{ in_run_days('date', before=1, after=1) }}
        and (vin, date) not in (select (received.vin, received.date) from received)
    order by loaded_at desc, load_id asc
    limit 1 by vin, date

),

united as (

    select * from measured
    union all
    select * from loaded

)

select
    cast(vin as String) as vin,
    date,
    cast(origin as LowCardinality(String)) as origin,
    known_at,
    start_count,
    crank_count,
    crank_min_v,
    crank_mean_v,
    rest_v,
    rest_min_v,
    charge_v,
    charge_min_v,
    ambient_c,
    engine_on_s,
    short_trip_count,
    distance_m,
    cast(dtc_codes as Array(LowCardinality(String))) as dtc_codes,
    cast(dtc_known as Bool) as dtc_known,
    cast(source as LowCardinality(String)) as source
from united
