{#
  Days whose rows have left the hot tier keep their hours as they were: neither the delete nor the select
  touches them, or a rerun would replace them by the few rows that came late. The share lock holds off
  warehouse.retention (which writes day_loads) until this transaction has both deleted and inserted.
#}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    indexes=[{'columns': ['device_id', 'bucket']}],
    pre_hook=[
        "lock table {{ source('hot', 'day_loads') }} in share mode",
        "{% if is_incremental() %}delete from {{ this }} where {{ recorded_in_run_days('bucket') }}
            and (bucket at time zone 'UTC')::date not in (
                select day from {{ source('hot', 'day_loads') }} where hot_dropped_at is not null
            ){% endif %}",
    ],
) }}

with records as (

    select * from {{ ref('stg_hot__records') }}
    where {{ recorded_in_run_days('recorded_at') }}

),

dropped_days as (

    select * from {{ ref('stg_hot__dropped_days') }}

)

select
    time_bucket('1 hour', records.recorded_at) as bucket,
    records.device_id,
    records.vin,
    avg(records.speed_mph) as avg_speed,
    max(records.odometer_mi) - min(records.odometer_mi) as miles_driven,
    count(*) as data_points
from records
left join dropped_days on (records.recorded_at at time zone 'UTC')::date = dropped_days.date
where dropped_days.date is null
group by 1, 2, 3
