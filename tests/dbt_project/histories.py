"""Histories of a few vehicles, and their features worked out by hand: plain Python over plain rows."""

import math
import random
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from statistics import fmean, stdev
from typing import Any

Row = dict[str, Any]

FIRST = date(2019, 1, 1)
DRIVEN, GAPPED, ONE_DAY, NO_12_V, LATE = (f"0SMFEATURES{number:06d}" for number in range(1, 6))
VINS = (DRIVEN, GAPPED, ONE_DAY, NO_12_V, LATE)
MODEL_YEARS = {DRIVEN: 2012, GAPPED: 2020, ONE_DAY: None, NO_12_V: 2017, LATE: 2015}
SERVICE_RECORDS: list[Row] = [
    {
        "vin": vin, "component": "battery", "kind": kind, "performed_on": done,
        "recorded_at": datetime.combine(written, time(15), UTC), "odometer_mi": None, "reason": "failure",
    }
    for vin, kind, done, written in (
        (DRIVEN, "replacement", date(2017, 3, 4), date(2017, 3, 9)),
        (DRIVEN, "replacement", date(2019, 6, 1), date(2019, 6, 20)),
        (DRIVEN, "replacement", date(2018, 1, 1), date(2019, 7, 1)),
        (DRIVEN, "repair", date(2019, 8, 1), date(2019, 8, 2)),
        (LATE, "replacement", date(2019, 2, 1), date(2019, 2, 1)),
    )
]  # fmt: skip


def make_day(vin: str, day: date, rng: random.Random, **overrides: Any) -> Row:
    """A loaded day with values of its own."""
    starts = rng.randrange(5)
    cranks = starts if rng.random() < 0.8 else 0
    lowest = round(rng.uniform(7.5, 11), 3)
    rest = round(rng.uniform(12.1, 12.8), 3)
    charge = round(rng.uniform(13.2, 14.8), 3)
    return {
        "vin": vin, "date": day, "origin": "simulated",
        "known_at": datetime.combine(day, time(6), UTC) + timedelta(1),
        "start_count": starts, "crank_count": cranks,
        "crank_min_v": lowest if cranks else None,
        "crank_mean_v": lowest + round(rng.random(), 3) if cranks else None,
        "rest_v": rest if starts else None, "rest_min_v": rest - 0.125 if starts else None,
        "charge_v": charge if starts else None, "charge_min_v": charge - 0.25 if starts else None,
        "ambient_c": round(rng.uniform(-15, 35), 1) if starts and rng.random() < 0.9 else None,
        "engine_on_s": starts * 700.5, "short_trip_count": starts // 2,
        "distance_m": starts * 9_000.0 if rng.random() < 0.9 else None,
        "dtc_codes": rng.choice([[], [], ["P0300"], ["P0420", "P0562"]]), "dtc_known": True,
        "load_id": "history", **overrides,
    }  # fmt: skip


def histories() -> list[Row]:
    """Every vehicle's days."""
    rng = random.Random(4)
    days = [make_day(DRIVEN, FIRST + timedelta(n), rng) for n in range(260) if rng.random() < 0.85]
    days += [
        make_day(GAPPED, FIRST + timedelta(n), rng, dtc_codes=[], dtc_known=False)
        for n in (*range(40), *range(190, 215))
    ]
    days.append(
        make_day(
            ONE_DAY, FIRST + timedelta(30), rng, start_count=1, crank_count=1, short_trip_count=1,
            engine_on_s=9.0, crank_min_v=9.5, crank_mean_v=9.5, rest_v=12.5, rest_min_v=12.5, charge_v=None,
            charge_min_v=None, ambient_c=-3.5,
        )
    )  # fmt: skip
    nothing = dict.fromkeys(
        ("crank_min_v", "crank_mean_v", "rest_v", "rest_min_v", "charge_v", "charge_min_v", "ambient_c")
    )
    days += [
        make_day(
            NO_12_V, FIRST + timedelta(n), rng, start_count=0, crank_count=0, short_trip_count=0,
            engine_on_s=0.0, origin="recorded", **nothing,
        )
        for n in range(20)
    ]  # fmt: skip
    for n in range(120):  # live: known at once, a week in one batch, or too late to count
        day = FIRST + timedelta(n)
        known = day if n % 3 else FIRST + timedelta(n - n % 7 + 7 if n % 5 else n + 20)
        moment = datetime.combine(known, time(23, 59, 59, 999_000), UTC)
        days.append(make_day(LATE, day, rng, origin="live", known_at=moment))
    return days


def known_date(day: Row) -> date:
    return day["known_at"].date()


def expected_features(vin: str, as_of: date, days: Sequence[Row]) -> Row:
    """Every feature of a vehicle at an as_of, from the rows that were known by its end."""
    end = datetime.combine(as_of + timedelta(1), time(0), UTC)
    known = [
        day for day in days
        if day["vin"] == vin and day["known_at"] < end and 0 <= (known_date(day) - day["date"]).days <= 14
    ]  # fmt: skip

    def of(value: str | Callable[[Row], Any], length: int, ending: int = 0) -> list[Any]:
        pick = value if callable(value) else lambda day: day[value]
        values = [
            pick(day) for day in known if ending <= (as_of - known_date(day)).days < ending + length
        ]  # fmt: skip
        return [found for found in values if found is not None]

    def mean(value: Any, length: int, ending: int = 0) -> float | None:
        found = of(value, length, ending)
        return fmean(found) if found else None

    def spread(value: Any) -> float | None:
        found = of(value, 28)
        return stdev(found) if len(found) > 1 else None

    def minus(left: float | None, right: float | None) -> float | None:
        return None if left is None or right is None else left - right

    def total(value: Any) -> float | None:
        found = of(value, 28)
        return math.fsum(found) if found else None

    def lowest(value: str, length: int) -> float | None:
        return min(of(value, length), default=None)

    features: Row = {"newest_known_at": max(of("known_at", 365), default=None)}
    for length in (7, 28, 90):
        features[f"crank_min_v_{length}d"] = lowest("crank_min_v", length)
        features[f"crank_mean_v_{length}d"] = mean("crank_mean_v", length)
        features[f"crank_resistance_mohm_{length}d"] = mean(resistance_mohm, length)
        features[f"rest_v_{length}d"] = mean("rest_v", length)
        features[f"ambient_c_{length}d"] = mean("ambient_c", length)
        features[f"valid_days_{length}d"] = len(of(lambda day: True if day["crank_count"] else None, length))
    for length in (7, 28):
        features[f"charge_v_{length}d"] = mean("charge_v", length)
    starts = total("start_count")
    newest_valid = max(of(lambda day: day["date"] if day["crank_count"] else None, 365), default=None)
    replaced = [
        record["performed_on"] for record in SERVICE_RECORDS
        if record["vin"] == vin and record["kind"] == "replacement" and record["recorded_at"] < end
    ]  # fmt: skip
    year = MODEL_YEARS[vin]
    angle = 2 * math.pi * as_of.timetuple().tm_yday / 365.25
    coldest_crank = min(
        ((day["crank_min_v"], day["date"], day["ambient_c"]) for day in of(lambda day: day, 28)
         if day["crank_min_v"] is not None), default=(None, None, None),
    )  # fmt: skip
    codes = of(lambda day: day["dtc_codes"] if day["dtc_known"] else None, 28)
    return features | {
        "crank_mean_v_180d": mean("crank_mean_v", 180),
        "crank_sd_v_28d": spread("crank_mean_v"),
        "crank_resistance_sd_28d": spread(resistance_mohm),
        "crank_resistance_delta_90d": minus(mean(resistance_mohm, 28), mean(resistance_mohm, 28, 90)),
        "crank_resistance_delta_180d": minus(mean(resistance_mohm, 28), mean(resistance_mohm, 28, 180)),
        "rest_min_v_28d": lowest("rest_min_v", 28),
        "rest_delta_90d": minus(mean("rest_v", 28), mean("rest_v", 28, 90)),
        "charge_min_v_28d": lowest("charge_min_v", 28),
        "charge_sd_v_28d": spread("charge_v"),
        "starts_per_day_28d": mean("start_count", 28),
        "short_trip_share_28d": total("short_trip_count") / starts if starts else None,
        "distance_km_28d": None if total("distance_m") is None else total("distance_m") / 1000,
        "engine_on_h_28d": None if total("engine_on_s") is None else total("engine_on_s") / 3600,
        "ambient_min_c_28d": lowest("ambient_c", 28),
        "days_since_valid": None if newest_valid is None else (as_of - newest_valid).days,
        "dtc_battery_days_28d": sum("P0562" in each for each in codes) if codes else None,
        "dtc_days_28d": sum(bool(each) for each in codes) if codes else None,
        "battery_age_days": (as_of - max(replaced)).days if replaced else None,
        "vehicle_age_years": None if year is None else max(0, (as_of - date(year, 1, 1)).days / 365.25),
        "season_sin": math.sin(angle),
        "season_cos": math.cos(angle),
        "crank_min_v_28d_date": coldest_crank[1],
        "ambient_at_crank_min_c": coldest_crank[2],
    }


def resistance_mohm(day: Row) -> float | None:
    """Of a day's cranks, in milliohms as at 25 Cel."""
    if None in (day["rest_v"], day["crank_mean_v"], day["ambient_c"]):
        return None
    current_a = 380 * (1 + 0.006 * max(0.0, 10 - day["ambient_c"]))
    cold = 1 + 0.012 * max(0.0, 25 - day["ambient_c"])
    return float(1000 * (day["rest_v"] - day["crank_mean_v"]) / current_a / cold)
