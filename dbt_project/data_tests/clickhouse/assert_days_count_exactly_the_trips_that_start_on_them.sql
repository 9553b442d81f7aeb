with days as (

    select
        date,
        vin,
        trip_count
    from {{ ref('vehicle_analytics') }}

),

started as (

    select
        start_date as date,
        vin,
        count() as trip_count
    from {{ ref('trips') }}
    group by date, vin

)

select
    coalesce(days.vin, started.vin) as vin,
    days.trip_count as counted,
    started.trip_count as found
from days
full outer join started on days.date = started.date and days.vin = started.vin
where toUInt64(days.trip_count) != toUInt64(started.trip_count)
