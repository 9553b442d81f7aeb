"""Rows that cannot be true, each set aside for its own reason while its neighbours pass."""

import json
import math
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.warehouse.backfill.making import (
    DAY,
    NOW,
    History,
    Row,
    make_day,
    make_record,
    make_vehicle,
    new_vin,
)
from warehouse.backfill import rules
from warehouse.backfill.rejects import rejects_of
from warehouse.backfill.rules import KnownVehicles, Reason
from warehouse.backfill.schema import SERVICE_RECORDS, SIGNALS, VEHICLES

VIN = new_vin()
KNOWN = KnownVehicles.of({VIN: "simulated"})


def _batch(days: list[Row]) -> pa.RecordBatch:
    return History(days=days).tables()[SIGNALS].to_batches()[0]


def _reasons(codes: rules.Codes) -> list[Reason | None]:
    return [rules.reason_of(code) if code else None for code in codes.tolist()]


def _judged_days(days: list[Row]) -> list[Reason | None]:
    batch = _batch(days)
    repeated = rules.repeated_days(pa.Table.from_batches([batch]))
    return _reasons(rules.judge_days(batch, KNOWN, repeated, NOW))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"vin": None}, Reason.MISSING_VALUE),
        ({"start_count": None}, Reason.MISSING_VALUE),
        ({"dtc_codes": ["P0300", None]}, Reason.MISSING_VALUE),
        ({"vin": "0SMBACKFI00000001"}, Reason.MALFORMED_VIN),
        ({"vin": VIN.lower()}, Reason.MALFORMED_VIN),
        ({"vin": f"{VIN}\n"}, Reason.MALFORMED_VIN),
        ({"vin": new_vin()}, Reason.UNKNOWN_VEHICLE),
        ({"origin": "live"}, Reason.OTHER_ORIGIN),
        ({"date": NOW.date() + timedelta(1)}, Reason.IN_THE_FUTURE),
        ({"known_at": NOW + timedelta(3)}, Reason.IN_THE_FUTURE),
        ({"date": date(1999, 12, 31)}, Reason.TOO_OLD),
        ({"known_at": datetime(2026, 2, 28, 23, 59, tzinfo=NOW.tzinfo)}, Reason.KNOWN_TOO_EARLY),
        ({"rest_v": math.nan}, Reason.NOT_A_NUMBER),
        ({"distance_m": math.inf}, Reason.NOT_A_NUMBER),
        ({"engine_on_s": -math.inf}, Reason.NOT_A_NUMBER),
        ({"engine_on_s": -1.0}, Reason.NEGATIVE),
        ({"distance_m": -0.5}, Reason.NEGATIVE),
        ({"charge_v": 40.5, "charge_min_v": 14.0}, Reason.IMPLAUSIBLE_VOLTAGE),
        ({"crank_min_v": -0.1}, Reason.IMPLAUSIBLE_VOLTAGE),
        ({"ambient_c": 200.0}, Reason.IMPLAUSIBLE_TEMPERATURE),
        ({"engine_on_s": 2e6}, Reason.IMPLAUSIBLE_DAY),
        ({"crank_count": 3}, Reason.COUNTS_DISAGREE),
        ({"short_trip_count": 3}, Reason.COUNTS_DISAGREE),
        ({"crank_count": 0}, Reason.COUNTS_DISAGREE),
        ({"crank_min_v": 10.0}, Reason.COUNTS_DISAGREE),
        ({"rest_min_v": None}, Reason.COUNTS_DISAGREE),
    ],
)
def test_a_bad_day_is_set_aside_and_its_neighbours_pass(change: Row, reason: Reason):
    days = [
        make_day(VIN, DAY),
        make_day(VIN, DAY + timedelta(1)) | change,
        make_day(VIN, DAY + timedelta(2)),
    ]
    assert _judged_days(days) == [None, reason, None]


def test_what_is_unusual_but_true_passes():
    nothing_seen = dict.fromkeys(
        ("crank_min_v", "crank_mean_v", "rest_v", "rest_min_v", "charge_v", "charge_min_v", "ambient_c")
    )
    yesterday = NOW.date() - timedelta(1)
    days = [
        # no 12 V channel, no odometer
        make_day(VIN, DAY, crank_count=0, distance_m=None, dtc_codes=[], dtc_known=False, **nothing_seen),
        # known later today, as the modelled lag has it; and today, which is not over
        make_day(VIN, yesterday, known_at=NOW + timedelta(hours=1)),
        make_day(VIN, NOW.date()),
        # a mean that rounding left below its minimum
        make_day(VIN, DAY + timedelta(1), crank_min_v=9.5, crank_mean_v=9.4999999),
    ]
    assert _judged_days(days) == [None] * 4


def test_of_rows_for_one_day_the_first_is_kept_also_across_batches():
    days = [make_day(VIN, DAY), make_day(VIN, DAY, start_count=9), make_day(VIN, DAY + timedelta(1))]
    assert _judged_days(days) == [None, Reason.REPEATED, None]
    keys = pa.concat_tables([pa.Table.from_batches([_batch([day])]) for day in [*days, days[0]]])
    assert rules.repeated_days(keys).tolist() == [False, True, False, True]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"vin": "short"}, Reason.MALFORMED_VIN),
        ({"vin": new_vin()}, Reason.UNKNOWN_VEHICLE),
        ({"component": "brakes"}, Reason.UNKNOWN_KIND),
        ({"kind": "upgrade"}, Reason.UNKNOWN_KIND),
        ({"reason": "boredom"}, Reason.UNKNOWN_KIND),
        ({"performed_on": NOW.date() + timedelta(1)}, Reason.IN_THE_FUTURE),
        ({"recorded_at": NOW + timedelta(seconds=1)}, Reason.IN_THE_FUTURE),
        ({"performed_on": date(1987, 1, 1)}, Reason.TOO_OLD),
        ({"recorded_at": datetime(2026, 2, 27, tzinfo=NOW.tzinfo)}, Reason.KNOWN_TOO_EARLY),
        ({"odometer_mi": math.nan}, Reason.NOT_A_NUMBER),
        ({"odometer_mi": -1.0}, Reason.NEGATIVE),
        ({"recorded_at": None}, Reason.MISSING_VALUE),
    ],
)
def test_a_bad_service_record_is_set_aside(change: Row, reason: Reason):
    records = [make_record(VIN), make_record(VIN, DAY - timedelta(1)) | change, make_record(VIN)]
    table = History(records=records).tables()[SERVICE_RECORDS]
    judged = _reasons(rules.judge_service_records(table, KNOWN, NOW))
    assert judged == [None, reason, Reason.REPEATED]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"origin": "dreamt"}, Reason.UNKNOWN_ORIGIN),
        ({"origin": "recorded"}, Reason.OTHER_RANGE),
        ({"origin": "live"}, Reason.OTHER_RANGE),
        ({"vin": "WVWZZZ1KZ6W000001"}, Reason.OTHER_RANGE),
        ({"model_year": 1492}, Reason.IMPLAUSIBLE_YEAR),
        ({"origin": None}, Reason.MISSING_VALUE),
        ({"make": "Piston\x00Works"}, Reason.IMPLAUSIBLE_TEXT),
        ({"model": "x" * 101}, Reason.IMPLAUSIBLE_TEXT),
    ],
)
def test_a_bad_vehicle_is_set_aside(change: Row, reason: Reason):
    vehicles = [
        make_vehicle(VIN),
        make_vehicle(new_vin()) | change,
        make_vehicle("WVWZZZ1KZ6W000002", origin="live", model_year=None),
        make_vehicle(VIN),
    ]
    table = History(vehicles=vehicles).tables()[VEHICLES]
    assert _reasons(rules.judge_vehicles(table)) == [None, reason, None, Reason.REPEATED]


def test_rejects_tell_the_row_by_its_number_and_hold_it_as_json():
    batch = _batch([make_day(VIN), make_day(VIN, rest_v=math.nan, dtc_codes=["P\x00562"])])
    [reject] = rejects_of(SIGNALS, batch, np.array([0, 9], np.int8), 100)
    assert (reject.file, reject.row_number, reject.reason) == (SIGNALS, 102, rules.reason_of(9))
    content: dict[str, Any] = json.loads(reject.row)
    assert content["rest_v"] == "nan"
    assert content["dtc_codes"] == ["P\ufffd562"]
    assert content["date"] == "2026-03-01"


def test_moments_beyond_the_calendar_are_kept_as_numbers():
    batch = _batch([make_day(VIN), make_day(VIN)])
    beyond = batch.set_column(
        batch.schema.get_field_index("known_at"),
        batch.schema.field("known_at"),
        pa.array([0, 2**62], pa.int64()).cast(pa.timestamp("ms", tz="UTC")),
    ).set_column(
        batch.schema.get_field_index("date"),
        batch.schema.field("date"),
        pa.array([0, 2**31 - 1], pa.int32()).cast(pa.date32()),
    )
    [reject] = rejects_of(SIGNALS, beyond, np.array([0, 9], np.int8), 0)
    content: dict[str, Any] = json.loads(reject.row)
    assert (content["known_at"], content["date"]) == (2**62, 2**31 - 1)


def test_files_without_a_row_pass():
    empty = History().tables()
    assert rules.judge_vehicles(empty[VEHICLES]).tolist() == []
    assert rules.judge_service_records(empty[SERVICE_RECORDS], KNOWN, NOW).tolist() == []
    assert rules.repeated_days(empty[SIGNALS]).tolist() == []
