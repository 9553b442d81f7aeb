with source as (

    select * from {{ source('backfill', 'loaded_component_day_signals') }}

),

complete_loads as (

    select * from {{ source('backfill', 'backfill_loads') }}

),

renamed as (

    select
        -- ids
        source.vin as vin,
        source.origin as origin,
        source.load_id as load_id,

        -- starts, their voltages and temperatures
        source.start_count as start_count,
        source.crank_count as crank_count,
        source.crank_min_v as crank_min_v,
        source.crank_mean_v as crank_mean_v,
        source.rest_v as rest_v,
        source.rest_min_v as rest_min_v,
        source.charge_v as charge_v,
        source.charge_min_v as charge_min_v,
        source.ambient_c as ambient_c,

        -- use
        source.engine_on_s as engine_on_s,
        source.short_trip_count as short_trip_count,
        source.distance_m as distance_m,

        -- trouble codes
        source.dtc_codes as dtc_codes,
        source.dtc_known as dtc_known,

        -- times
        source.date as date,
        source.known_at as known_at,
        complete_loads.completed_at as loaded_at

    from source
    inner join complete_loads on source.load_id = complete_loads.load_id

)

select * from renamed
