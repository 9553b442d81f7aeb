-- recorded or simulated data must never mix with live data under one VIN
select
    vin,
    groupUniqArray(origin) as origins
from {{ ref('vehicle_analytics') }}
group by vin
having length(origins) > 1
