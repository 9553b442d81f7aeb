{{ config(severity='warn') }}
-- within a day and from one reading day to the next; a new device or a rolled-back odometer shows up here
with sequenced as (

    select
        vin,
        source,
        date,
        odometer,
        first_odometer,
        lagInFrame(odometer, 1, first_odometer) over (
            partition by vin, source order by date
            rows between 1 preceding and current row
        ) as previous_odometer
    from {{ ref('odometer_readings') }}

)

select * from sequenced
where odometer < first_odometer or first_odometer < previous_odometer
