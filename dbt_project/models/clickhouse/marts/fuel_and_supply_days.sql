{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    engine='MergeTree()',
    partition_by='toYYYYMM(date)',
    order_by='(vin, date)',
    on_schema_change='fail',
    meta={'day_column': 'date', 'days_before': 0, 'days_after': 0},
) }}
{% set refuelling_pct = 8 %}
{% set rest_low_v = 11.8 %}

with records as (

    select
        vin,
        origin,
        recorded_at,
        recorded_date,
        stream_position,
        fuel_pct,
        battery_v,
        is_ignition_on
    from {{ ref('stg_telemetry__records') }}
    where
        {{ recorded_in_run_days('recorded_at') }}
        and (fuel_pct is not null or battery_v is not null)

),

levels as (

    -- fuel moves in its tank: the middle of five readings, of one day
    select
        vin,
        recorded_date,
        recorded_at,
        stream_position,
        quantileExact(assumeNotNull(fuel_pct)) over (
            partition by vin, recorded_date order by recorded_at, stream_position
            rows between 2 preceding and 2 following
        ) as level_pct
    from records
    where fuel_pct is not null

),

steps as (

    select
        *,
        level_pct - lagInFrame(toNullable(level_pct)) over (
            partition by vin, recorded_date order by recorded_at, stream_position
            rows between 1 preceding and current row
        ) as rise_pct
    from levels

),

-- a rise takes a few readings to pass through the middle of five
rises as (

    select
        *,
        sum(if(rise_pct > 0, rise_pct, 0)) over (
            partition by vin, recorded_date order by recorded_at, stream_position
            rows between 4 preceding and current row
        ) as recent_rise_pct
    from steps

),

refuellings as (

    select
        *,
        recent_rise_pct >= {{ refuelling_pct }} as is_refuelling,
        is_refuelling and not coalesce(lagInFrame(toNullable(recent_rise_pct >= {{ refuelling_pct }})) over (
            partition by vin, recorded_date order by recorded_at, stream_position
            rows between 1 preceding and current row
        ), false) as begins
    from rises

),

refuelled as (

    select
        vin,
        recorded_date,
        sum(begins) over (
            partition by vin, recorded_date order by recorded_at, stream_position
            rows between unbounded preceding and current row
        ) as refuelling,
        recent_rise_pct
    from refuellings
    where is_refuelling

),

refuelling_rises as (

    select
        vin,
        recorded_date,
        refuelling,
        max(recent_rise_pct) as refuelled_pct
    from refuelled
    group by vin, recorded_date, refuelling

),

refuelled_days as (

    select
        vin,
        recorded_date,
        sum(refuelled_pct) as refuelled_pct,
        count() as refuelling_count
    from refuelling_rises
    group by vin, recorded_date

),

fuel as (

    select
        vin,
        recorded_date,
        argMin(level_pct, (recorded_at, stream_position)) as first_pct,
        argMax(level_pct, (recorded_at, stream_position)) as last_pct,
        min(level_pct) as least_pct,
        count() as fuel_reading_count
    from levels
    group by vin, recorded_date

),

supply as (

    select
        vin,
        recorded_date,
        max(origin) as origin,
        minOrNull(battery_v) as least_v,
        maxOrNull(battery_v) as greatest_v,
        quantileExactOrNullIf(assumeNotNull(battery_v), battery_v is not null and is_ignition_on = false) as rest_v,
        quantileExactOrNullIf(assumeNotNull(battery_v), battery_v is not null and is_ignition_on = true) as running_v,
        countIf(is_ignition_on = false and battery_v < {{ rest_low_v }}) as low_rest_count,
        countIf(battery_v is not null) as supply_reading_count
    from records
    group by vin, recorded_date

)

select
    supply.recorded_date as date,
    cast(supply.vin as String) as vin,
    if(fuel.fuel_reading_count > 0, toNullable(toFloat32(fuel.first_pct)), null) as first_fuel_pct,
    if(fuel.fuel_reading_count > 0, toNullable(toFloat32(fuel.last_pct)), null) as last_fuel_pct,
    if(fuel.fuel_reading_count > 0, toNullable(toFloat32(fuel.least_pct)), null) as least_fuel_pct,
    toUInt16(refuelled_days.refuelling_count) as refuelling_count,
    if(
        fuel.fuel_reading_count > 0, toNullable(toFloat32(refuelled_days.refuelled_pct)), null
    ) as refuelled_pct,
    if(
        fuel.fuel_reading_count > 0,
        toNullable(toFloat32(greatest(0, fuel.first_pct - fuel.last_pct + refuelled_days.refuelled_pct))), null
    ) as used_fuel_pct,
    toUInt32(fuel.fuel_reading_count) as fuel_reading_count,
    supply.least_v as least_v,
    supply.greatest_v as greatest_v,
    supply.rest_v as rest_v,
    supply.running_v as running_v,
    toUInt32(supply.low_rest_count) as low_rest_count,
    toUInt32(supply.supply_reading_count) as supply_reading_count,
    cast(supply.origin as LowCardinality(String)) as origin
from supply
left join fuel on supply.vin = fuel.vin and supply.recorded_date = fuel.recorded_date
left join refuelled_days
    on supply.vin = refuelled_days.vin and supply.recorded_date = refuelled_days.recorded_date
