{{ config(materialized='ephemeral') }}

with device_days as (

    select * from {{ ref('int_device_days_counted') }}

),

capabilities as (

    -- a device can do from the first day on which it was seen doing it; null: never seen
    select
        device_id,
        minOrNullIf(date, trip_mark_count > 0) as first_trip_mark_date,
        minOrNullIf(date, ignition_count > 0) as first_ignition_date,
        minOrNullIf(date, harsh_event_count > 0) as first_harsh_date
    from device_days
    group by device_id

),

classified as (

    select
        device_days.date as date,
        device_days.vin as vin,
        multiIf(
            max(coalesce(capabilities.first_trip_mark_date <= device_days.date, false)), 'device',
            max(coalesce(capabilities.first_ignition_date <= device_days.date, false)), 'ignition',
            'gap'
        ) as boundary_source,
        max(coalesce(capabilities.first_harsh_date <= device_days.date, false)) as reports_harsh_events
    from device_days
    inner join capabilities on device_days.device_id = capabilities.device_id
    group by date, vin

)

select * from classified
