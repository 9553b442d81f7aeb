with source as (

    select * from {{ source('registry', 'vehicles') }}

)

select
    vin,
    origin,
    make,
    model,
    model_year
from source
