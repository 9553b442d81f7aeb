with renamed as (

    select
        -- ids
        device_id,
        vin,
        origin,
        event_id,
        stream_position,
        content_hash,

        -- position and motion; without a satellite fix the tracker repeats old values or sends zeros
        if(coalesce(is_valid, true), lat, null) as lat_deg,
        if(coalesce(is_valid, true), lng, null) as lng_deg,
        if(coalesce(is_valid, true), speed_mph, null) as speed_mph,

        -- what the device says about the drive
        ignition as is_ignition_on,
        if(
            event_id = 250 and raw_data != '', JSONExtract(raw_data, '250', 'Nullable(Int16)'), null
        ) as trip_mark,
        -- a Float32 of what the tracker counts in millivolts
        round(toFloat64(battery_v), 3) as battery_v,
        toFloat64(ambient_c) as ambient_c,
        rpm,
        fuel_pct,
        is_valid as has_fix,
        harsh_kind,
        harsh_value,
        dtc_codes,
        dtc_known as is_dtc_known,

        -- odometers
        -- what a partner wrote down is none of the vehicle's own counters
        if(odometer_source = 'partner', null, odometer) as odometer_mi,
        nullIf(odometer_source, 'partner') as odometer_source,
        odometer_gnss_m,
        odometer_can_m,
        odometer_obd_m,

        -- times
        time as recorded_at,
        toDate(time) as recorded_date,
        received_at

    -- by name: measured numbers are alias columns there, which `*` leaves out
    from {{ source('telemetry', 'telemetry') }}
    where vin != ''

)

select * from renamed
