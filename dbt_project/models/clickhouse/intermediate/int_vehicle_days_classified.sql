{{ config(materialized='ephemeral') }}

with device_days as (

    select
        date,
        vin,
        device_id,
        harsh_event_count
    from {{ ref('int_device_days_counted') }}

),

boundaries as (

    select
        date,
        vin,
        device_id,
        boundary_source
    from {{ ref('int_device_days_classified') }}

),

capabilities as (

    -- a device can do from the first day on which it was seen doing it; null: never seen
    select
        device_id,
        minOrNullIf(date, harsh_event_count > 0) as first_harsh_date
    from device_days
    group by device_id

),

classified as (

    select
        device_days.date as date,
        device_days.vin as vin,
        -- device, ignition, movement: the better one comes first in the alphabet, too
        min(boundaries.boundary_source) as boundary_source,
        max(coalesce(capabilities.first_harsh_date <= device_days.date, false)) as reports_harsh_events
    from device_days
    inner join capabilities on device_days.device_id = capabilities.device_id
    inner join boundaries
        on
            device_days.date = boundaries.date
            and device_days.vin = boundaries.vin
            and device_days.device_id = boundaries.device_id
    group by date, vin

)

select * from classified
