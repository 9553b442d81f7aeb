{{ config(materialized='ephemeral') }}

with replacements as (

    select
        vin,
        performed_date,
        toDate(recorded_at) as known_date
    from {{ ref('stg_registry__service_records') }}
    where component = 'battery' and kind = 'replacement' and performed_date <= toDate(recorded_at)

),

latest as (

    select
        vin,
        known_date,
        max(performed_date) as performed_date
    from replacements
    group by vin, known_date

)

select
    vin,
    known_date,
    -- an older replacement that was written down late does not make the battery older
    max(performed_date) over (
        partition by vin order by known_date
        rows between unbounded preceding and current row
    ) as last_performed_date
from latest
