-- a record belongs to one trip at most, so a trip ends before the vehicle's next one starts
with sequenced as (

    select
        vin,
        started_at,
        lagInFrame(toNullable(ended_at)) over (
            partition by vin order by started_at
            rows between 1 preceding and current row
        ) as previous_ended_at
    from {{ ref('trips') }}

)

select * from sequenced
where previous_ended_at > started_at
