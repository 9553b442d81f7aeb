{{ config(
    materialized='table',
    engine='MergeTree()',
    order_by='(vin, code, first_seen_at)',
) }}
{#
  An episode has no bounded length, so this is built whole, from days and not from records. It is over when a
  list came without the code and the code did not come back on that day or the next: devices read codes one
  after the other and lists flicker.
#}

with seen as (

    select * from {{ ref('int_dtc_days_seen') }}

),

lists as (

    select
        vin,
        date,
        first_seen_at,
        last_seen_at
    from seen
    where code = ''

),

sightings as (

    select
        vin,
        code,
        date,
        first_seen_at,
        last_seen_at,
        record_count,
        origin
    from seen
    where code != ''

),

-- the first list after the day's last sighting: later that day, or on the next day that has one
following as (

    select
        sightings.vin as vin,
        sightings.code as code,
        sightings.date as date,
        sightings.first_seen_at as first_seen_at,
        sightings.last_seen_at as last_seen_at,
        sightings.record_count as record_count,
        sightings.origin as origin,
        lists.last_seen_at as last_list_at
    from sightings
    inner join lists on sightings.vin = lists.vin and sightings.date = lists.date

),

next_lists as (

    select
        following.*,
        next_list.date as next_list_date,
        next_list.first_seen_at as next_list_at
    from following
    asof left join lists as next_list
        on following.vin = next_list.vin and following.date < next_list.date

),

sequenced as (

    select
        *,
        lagInFrame(toNullable(date)) over here as previous_date,
        lagInFrame(toNullable(next_list_date)) over here as previous_next_list_date,
        -- nothing was heard in between, or it was back a day later: the same episode
        previous_date is null
        or not (date <= previous_date + 1 or date <= previous_next_list_date) as begins
    from next_lists
    window here as (partition by vin, code order by date rows between 1 preceding and current row)

),

numbered as (

    select
        *,
        sum(begins) over (
            partition by vin, code order by date rows between unbounded preceding and current row
        ) as episode
    from sequenced

),

episodes as (

    select
        vin,
        code,
        episode,
        min(first_seen_at) as first_seen_at,
        max(last_seen_at) as last_seen_at,
        argMax(last_list_at, date) as last_list_at,
        argMax(next_list_at, date) as next_list_at,
        argMax(next_list_date, date) as next_list_date,
        count() as day_count,
        sum(record_count) as record_count,
        max(origin) as origin
    from numbered
    group by vin, code, episode

)

select
    cast(vin as String) as vin,
    cast(code as String) as code,
    first_seen_at,
    last_seen_at,
    multiIf(
        last_list_at > last_seen_at, toNullable(last_list_at),
        next_list_date > toDate('1970-01-01'), toNullable(next_list_at),
        null
    ) as cleared_at,
    cast(cleared_at is null as Bool) as is_active,
    toUInt32(day_count) as day_count,
    toUInt32(record_count) as record_count,
    cast(origin as LowCardinality(String)) as origin
from episodes
