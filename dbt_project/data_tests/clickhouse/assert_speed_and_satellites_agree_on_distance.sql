{{ config(severity='warn') }}
-- two independent measurements of one road: over 100 km they differ by 2.5 % at most on the recorded cars
select
    vin,
    sum(distance_m) as by_speed_m,
    sum(distance_gps_m) as by_satellites_m
from {{ ref('vehicle_analytics') }}
group by vin
having by_speed_m > 100000 and abs(by_speed_m - by_satellites_m) > 0.1 * by_speed_m
