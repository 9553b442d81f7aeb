with source as (

    select * from {{ source('hot', 'telemetry') }}

),

renamed as (

    select
        -- ids
        device_id,
        vin,

        -- measures
        speed_mph,
        odometer as odometer_mi,

        -- times
        time as recorded_at

    from source

)

select * from renamed
