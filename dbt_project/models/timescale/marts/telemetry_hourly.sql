{#
  Hot days are counted from hot rows. Days whose rows left the hot tier are taken from warm_hours where they stand
  there (a run counts its own, see warehouse.warm_hours), and keep their hours as they were otherwise: the few rows
  of such a day that came late would empty it. The share lock holds off warehouse.retention (which writes
  day_loads) until this transaction has both deleted and inserted.
#}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    indexes=[{'columns': ['device_id', 'bucket']}],
    pre_hook=[
        "lock table {{ source('hot', 'day_loads') }} in share mode",
        "{% if is_incremental() %}delete from {{ this }} where {{ recorded_in_run_days('bucket') }}
            and (
                (bucket at time zone 'UTC')::date not in (
                    select day from {{ source('hot', 'day_loads') }} where hot_dropped_at is not null
                )
                or (bucket at time zone 'UTC')::date in (select day from {{ source('hot', 'warm_hour_days') }})
            ){% endif %}",
    ],
) }}

with records as (

    select * from {{ ref('stg_hot__records') }}
    where {{ recorded_in_run_days('recorded_at') }}

),

dropped_days as (

    select * from {{ ref('stg_hot__dropped_days') }}

),

warm_hours as (

    select * from {{ ref('stg_warm__hours') }}
    where {{ recorded_in_run_days('bucket') }}

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

union all

select
    warm_hours.bucket,
    warm_hours.device_id,
    warm_hours.vin,
    warm_hours.avg_speed,
    warm_hours.miles_driven,
    warm_hours.data_points
from warm_hours
inner join dropped_days on (warm_hours.bucket at time zone 'UTC')::date = dropped_days.date
