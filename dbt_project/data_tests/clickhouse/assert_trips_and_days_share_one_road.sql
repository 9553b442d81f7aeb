-- every part of a trip is in its day and in its trip, once: metres, seconds and records add up both ways
with parts as (

    select
        *,
        {{ is_counted_trip(
            'argMin(boundary_source, date) over whole_trip', 'max(is_opened_by_midnight) over whole_trip',
            'sum(record_count) over whole_trip', 'max(max_speed_mph) over whole_trip'
        ) }} as is_counted
    from {{ ref('int_trip_days_measured') }}
    window whole_trip as (partition by vin, started_at)

),

by_day as (

    select
        vin,
        date,
        sum(distance_m) as road_m,
        sum(driving_s) as road_s
    from parts
    where is_counted
    group by vin, date

),

by_trip as (

    select
        vin,
        started_at,
        sum(distance_m) as road_m,
        sum(driving_s) as road_s,
        sum(record_count) as record_count
    from parts
    where is_counted
    group by vin, started_at

)

select
    days.vin as vin,
    toDateTime64(days.date, 3, 'UTC') as since
from {{ ref('vehicle_analytics') }} as days
left join by_day on days.vin = by_day.vin and days.date = by_day.date
where abs(days.distance_m - by_day.road_m) > 0.01 or abs(days.driving_s - by_day.road_s) > 0.01

union all

select
    trips.vin,
    trips.started_at
from {{ ref('trips') }} as trips
left join by_trip on trips.vin = by_trip.vin and trips.started_at = by_trip.started_at
where
    abs(trips.distance_m - by_trip.road_m) > 0.01
    or abs(trips.driving_s - by_trip.road_s) > 0.01
    or trips.record_count != by_trip.record_count
