{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    engine='MergeTree()',
    partition_by='toYYYYMM(local_date)',
    order_by='(vin, local_date)',
    on_schema_change='fail',
    meta={'day_column': 'local_date', 'days_before': 2, 'days_after': 2},
) }}
{#
  Trips of days [a, b) can change those of a - 1 to b, whose local days are a - 2 to b + 1; a local day is
  made of trips of its own UTC day and of the days around it.
#}

with trips as (

    select
        vin,
        started_at,
        coalesce(chosen_distance_m, distance_m) as trip_m,
        driving_s as trip_driving_s,
        coalesce(idle_s, 0) as trip_idle_s,
        origin,
        -- nautical time zones: 15 degrees each, the zone of Greenwich from 7.5 W to 7.5 E
        toInt8(round(coalesce(start_lng, end_lng, 0) / 15)) as trip_offset_h,
        start_lng is not null or end_lng is not null as is_placed
    from {{ ref('trips') }}
    where {{ in_run_days('start_date', before=3, after=3) }}

),

placed as (

    select
        *,
        started_at + toIntervalHour(trip_offset_h) as started_local,
        toDate(started_local) as local_date
    from trips

)

select
    local_date,
    cast(vin as String) as vin,
    argMin(trip_offset_h, started_at) as utc_offset_h,
    cast(min(is_placed) as Bool) as has_position,
    toUInt16(least(count(), 65535)) as trip_count,
    round(sum(trip_m), 3) as distance_m,
    round(sum(trip_driving_s), 3) as driving_s,
    round(sum(trip_idle_s), 3) as idle_s,
    round(sumIf(trip_m, toHour(started_local) >= 23 or toHour(started_local) < 4), 3) as night_distance_m,
    min(started_local) as first_started_local,
    cast(max(origin) as LowCardinality(String)) as origin
from placed
where {{ in_run_days('local_date', before=2, after=2) }}
group by local_date, vin
