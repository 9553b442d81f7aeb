with source as (

    select * from {{ source('registry', 'service_records') }}

)

select
    vin,
    component,
    kind,
    reason,
    odometer_mi,
    performed_on as performed_date,
    recorded_at
from source
