{{ config(materialized='ephemeral') }}

with records as (

    select
        vin,
        origin,
        recorded_at,
        recorded_date,
        received_at,
        stream_position,
        odometer_mi,
        odometer_source,
        dtc_codes,
        is_dtc_known
    from {{ ref('stg_telemetry__records') }}
    where {{ recorded_in_run_days('recorded_at', before=1, after=1) }}

),

days as (

    select
        recorded_date as date,
        vin,
        max(origin) as origin,
        max(received_at) as last_received_at,
        argMinOrNullIf(odometer_mi, (recorded_at, stream_position), odometer_mi is not null) as first_odometer_mi,
        argMaxOrNullIf(odometer_mi, (recorded_at, stream_position), odometer_mi is not null) as last_odometer_mi,
        length(groupUniqArrayIf(odometer_source, odometer_mi is not null)) as odometer_source_count,
        arraySort(groupUniqArrayArray(dtc_codes)) as dtc_codes,
        max(is_dtc_known) as is_dtc_known
    from records
    group by date, vin

)

select
    date,
    vin,
    origin,
    last_received_at,
    if(
        odometer_source_count = 1 and last_odometer_mi >= first_odometer_mi,
        round((last_odometer_mi - first_odometer_mi) * {{ metres_per_mile() }}, 3),
        null
    ) as distance_m,
    dtc_codes,
    is_dtc_known
from days
