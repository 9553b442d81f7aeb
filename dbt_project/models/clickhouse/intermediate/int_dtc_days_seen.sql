{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    engine='MergeTree()',
    partition_by='toYYYYMM(date)',
    order_by='(vin, code, date)',
    on_schema_change='fail',
    meta={'day_column': 'date', 'days_before': 0, 'days_after': 0},
) }}
{#
  The code '' stands for the lists themselves: first and last moment at which it was known which codes there
  were, if only that there were none.
#}

with lists as (

    select
        vin,
        origin,
        recorded_at,
        recorded_date,
        arrayConcat([''], arrayDistinct(arrayFilter(code -> code != '', dtc_codes))) as codes
    from {{ ref('stg_telemetry__records') }}
    where is_dtc_known and {{ recorded_in_run_days('recorded_at') }}

),

unfolded as (

    select
        vin,
        origin,
        recorded_at,
        recorded_date,
        arrayJoin(codes) as code
    from lists

)

select
    recorded_date as date,
    vin,
    code,
    min(recorded_at) as first_seen_at,
    max(recorded_at) as last_seen_at,
    toUInt32(count()) as record_count,
    max(origin) as origin
from unfolded
group by date, vin, code
