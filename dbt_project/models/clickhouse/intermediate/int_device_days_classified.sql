{{ config(materialized='ephemeral') }}

with device_days as (

    select
        date,
        vin,
        device_id,
        record_count,
        first_recorded_at,
        last_recorded_at,
        -- two and a half of its own steps: a tracker that reports every ten minutes is silent for ten
        toInt64(1000 * least(3600, greatest(300, 2.5 * coalesce(step_under_way_s, 0)))) as gap_ms,
        multiIf(
            trip_mark_count > 0, 'device',
            -- a wire that only ever says one thing is not connected, or to the battery; one that says off while
            -- the car drives is broken
            ignition_on_count > 0 and ignition_off_count > 0 and 2 * moving_off_count <= moving_count, 'ignition',
            'movement'
        ) as boundary_source,
        (indexOf(['device', 'ignition', 'movement'], boundary_source), -toInt64(record_count), device_id) as place
    from {{ ref('int_device_days_counted') }}

),

beside_others as (

    select
        *,
        groupArray(tuple(place, first_recorded_at, last_recorded_at)) over (partition by date, vin) as devices
    from device_days

)

select
    date,
    vin,
    device_id,
    boundary_source,
    gap_ms,
    arrayExists(
        other -> tupleElement(other, 1) < place
        and tupleElement(other, 2) <= last_recorded_at and tupleElement(other, 3) >= first_recorded_at,
        devices
    ) as is_shadowed
from beside_others
