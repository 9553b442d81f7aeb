{{ config(severity='warn') }}
-- days that were built before one of their devices first reported harsh driving on an earlier day: build them again
select
    days.date,
    days.vin
from {{ ref('vehicle_analytics') }} as days
inner join {{ ref('int_vehicle_days_classified') }} as classified
    on days.date = classified.date and days.vin = classified.vin
where days.reports_harsh_events != classified.reports_harsh_events
