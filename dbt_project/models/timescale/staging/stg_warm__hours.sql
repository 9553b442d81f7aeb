with source as (

    select * from {{ source('hot', 'warm_hours') }}

)

select
    bucket,
    device_id,
    vin,
    avg_speed,
    miles_driven,
    data_points
from source
