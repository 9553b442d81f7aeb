with source as (

    select * from {{ source('hot', 'day_loads') }}

)

select
    day as date,
    hot_dropped_at as dropped_at
from source
where hot_dropped_at is not null
