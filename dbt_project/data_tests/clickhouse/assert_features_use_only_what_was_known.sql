-- Leakage: for vehicles and as_ofs drawn by a hash, features are worked out again from the day signals, by a
-- join over everything that was known by the end of the as_of and nothing else. No window, no spine, no macro
-- of the features is used here, so that a mistake in them shows up.
with sample as (

    select *
    from {{ ref('ftr_component_days') }}
    where {{ in_run_days('as_of', before=1, after=1) }}
    order by cityHash64(vin, as_of)
    limit 500

),

known as (

    select
        *,
        date as signal_date,
        known_at as became_known_at,
        toDate(known_at) as known_date,
        toDate(known_at) - date as days_late,
        (rest_v - crank_mean_v) * 1000 / 380
        / (1 + (ambient_c < 10) * (10 - ambient_c) * 0.006)
        / (1 + (ambient_c < 25) * (25 - ambient_c) * 0.012) as resistance_mohm
    from {{ ref('component_day_signals') }}
    where vin in (select sample.vin from sample)

),

replacements as (

    select
        vin,
        performed_date,
        recorded_at
    from {{ ref('stg_registry__service_records') }}
    where component = 'battery' and kind = 'replacement'

),

remembered as (

    select
        sample.vin as vin,
        sample.as_of as as_of,
        sample.as_of - known.known_date as days_ago,
        known.* except (vin)
    from sample
    inner join known on sample.vin = known.vin
    where
        known.known_at < toDateTime64(sample.as_of + 1, 3, 'UTC')
        and known.days_late between 0 and {{ var('longest_lateness_days') }}

),

recomputed as (

    select
        vin,
        as_of,
        maxOrNullIf(became_known_at, days_ago < 365) as newest_known_at,
        minOrNullIf(crank_min_v, days_ago < 28) as crank_min_v_28d,
        avgOrNullIf(crank_mean_v, days_ago < 7) as crank_mean_v_7d,
        avgOrNullIf(crank_mean_v, days_ago < 28) as crank_mean_v_28d,
        avgOrNullIf(crank_mean_v, days_ago < 180) as crank_mean_v_180d,
        avgOrNullIf(resistance_mohm, days_ago < 28) as crank_resistance_mohm_28d,
        avgOrNullIf(resistance_mohm, days_ago < 28)
        - avgOrNullIf(resistance_mohm, days_ago >= 90 and days_ago < 118) as crank_resistance_delta_90d,
        avgOrNullIf(rest_v, days_ago < 90) as rest_v_90d,
        minOrNullIf(charge_min_v, days_ago < 28) as charge_min_v_28d,
        avgOrNullIf(start_count, days_ago < 28) as starts_per_day_28d,
        sumOrNullIf(distance_m, days_ago < 28) / 1000 as distance_km_28d,
        minOrNullIf(ambient_c, days_ago < 28) as ambient_min_c_28d,
        toFloat64(countIf(crank_count > 0 and days_ago < 90)) as valid_days_90d,
        toFloat64(minOrNullIf(as_of - signal_date, crank_count > 0 and days_ago < 365)) as days_since_valid,
        if(
            countIf(dtc_known and days_ago < 28) > 0,
            toFloat64(countIf(dtc_known and notEmpty(dtc_codes) and days_ago < 28)),
            null
        ) as dtc_days_28d
    from remembered
    group by vin, as_of

),

replaced as (

    select
        sample.vin as vin,
        sample.as_of as as_of,
        toNullable(toFloat64(sample.as_of - max(replacements.performed_date))) as battery_age_days
    from sample
    inner join replacements on sample.vin = replacements.vin
    where
        replacements.recorded_at < toDateTime64(sample.as_of + 1, 3, 'UTC')
        and replacements.performed_date <= toDate(replacements.recorded_at)
    group by vin, as_of

),

compared as (

    select
        sample.vin as vin,
        sample.as_of as as_of,
        arrayJoin([
            ('crank_min_v_28d', sample.crank_min_v_28d, recomputed.crank_min_v_28d),
            ('crank_mean_v_7d', sample.crank_mean_v_7d, recomputed.crank_mean_v_7d),
            ('crank_mean_v_28d', sample.crank_mean_v_28d, recomputed.crank_mean_v_28d),
            ('crank_mean_v_180d', sample.crank_mean_v_180d, recomputed.crank_mean_v_180d),
            ('crank_resistance_mohm_28d', sample.crank_resistance_mohm_28d, recomputed.crank_resistance_mohm_28d),
            ('crank_resistance_delta_90d', sample.crank_resistance_delta_90d, recomputed.crank_resistance_delta_90d),
            ('rest_v_90d', sample.rest_v_90d, recomputed.rest_v_90d),
            ('charge_min_v_28d', sample.charge_min_v_28d, recomputed.charge_min_v_28d),
            ('starts_per_day_28d', sample.starts_per_day_28d, recomputed.starts_per_day_28d),
            ('distance_km_28d', sample.distance_km_28d, recomputed.distance_km_28d),
            ('ambient_min_c_28d', sample.ambient_min_c_28d, recomputed.ambient_min_c_28d),
            ('valid_days_90d', sample.valid_days_90d, coalesce(recomputed.valid_days_90d, 0.)),
            ('days_since_valid', sample.days_since_valid, recomputed.days_since_valid),
            ('dtc_days_28d', sample.dtc_days_28d, recomputed.dtc_days_28d),
            ('battery_age_days', sample.battery_age_days, replaced.battery_age_days),
            (
                'newest_known_at',
                toFloat64(toUnixTimestamp64Milli(sample.newest_known_at)),
                toFloat64(toUnixTimestamp64Milli(recomputed.newest_known_at))
            )
        ]) as pair
    from sample
    left join recomputed on sample.vin = recomputed.vin and sample.as_of = recomputed.as_of
    left join replaced on sample.vin = replaced.vin and sample.as_of = replaced.as_of

)

select
    vin,
    as_of,
    tupleElement(pair, 1) as feature,
    tupleElement(pair, 2) as built,
    tupleElement(pair, 3) as recomputed
from compared
where
    isNull(tupleElement(pair, 2)) != isNull(tupleElement(pair, 3))
    or abs(tupleElement(pair, 2) - tupleElement(pair, 3)) > 0.00001
