from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.stream.reading_fields import FLAGS, MAX_DTC_CODES, METRIC_NAMES, NUMBERS
from ingest.stream.reading_form import Reading, ReadingRefusedError, parse_reading
from telematics.clock import epoch_ms

VIN = "0VE00000000000017"
AT = "2025-12-06T06:55:00Z"
AT_MS = epoch_ms(datetime(2025, 12, 6, 6, 55, tzinfo=UTC))

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=10,
)
NAMES = ["timestamp", "location", "odometer_source", "dtc_codes", *(field.name for field in NUMBERS)]


def faults_of(document: object, **how: bool) -> list[tuple[str, str]]:
    with pytest.raises(ReadingRefusedError) as caught:
        parse_reading(document, VIN, **how)
    return [(fault.pointer, fault.reason) for fault in caught.value.faults]


def test_the_blueprints_reading_is_one():
    document = {"timestamp": AT, "location": {"lat": 37.7749, "lng": -122.4194}, "speed_mph": 45}
    assert parse_reading(document, VIN) == Reading(
        VIN, AT_MS, {"speed_mph": 45.0, "location": {"lat": 37.7749, "lng": -122.4194}}
    )


def test_every_field_has_a_place():
    document = {field.name: field.lowest for field in NUMBERS} | {flag.name: True for flag in FLAGS}
    document |= {"timestamp": AT, "dtc_codes": ["p0300", "U0100-87"], "odometer_source": "obd"}
    fields = parse_reading(document, VIN).fields
    assert set(fields) == set(document) - {"timestamp"}
    assert fields["dtc_codes"] == ["P0300", "U0100-87"]


def test_metric_names_are_turned_into_the_blueprints_units():
    document = {"timestamp": AT, "speed_kph": 100, "altitude_m": 1000, "odometer_km": 1609.344}
    fields = parse_reading(document, VIN, is_metric=True).fields
    assert fields == {
        "speed_mph": pytest.approx(62.137119),
        "altitude_ft": pytest.approx(3280.8399),
        "odometer": pytest.approx(1000),
    }


def test_each_system_of_units_knows_its_own_names_only():
    for imperial, metric in ((name, entry.name) for name, entry in METRIC_NAMES.items()):
        assert faults_of({"timestamp": AT, metric: 1}) == [(f"/{metric}", "unknown_field")]
        assert faults_of({"timestamp": AT, imperial: 1}, is_metric=True) == [
            (f"/{imperial}", "unknown_field")
        ]


def test_null_is_absent_and_minus_zero_is_zero():
    fields = parse_reading({"timestamp": AT, "rpm": None, "location": None, "speed_mph": -0.0}, VIN).fields
    assert str(fields) == "{'speed_mph': 0.0}"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2025-12-06T06:55:00.123456789Z", AT_MS + 123),
        ("2025-12-06t06:55:00.5z", AT_MS + 500),
        ("2025-12-06T07:55:00+01:00", AT_MS),
    ],
)
def test_time_is_rfc_3339_to_the_millisecond(given, expected):
    assert parse_reading({"timestamp": given}, VIN).time_ms == expected


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (None, "missing"),
        (1_765_004_100, "bad_form"),
        ("2025-12-06", "bad_form"),
        ("2025-12-06T06:55:00", "bad_form"),
        ("2025-W49-6T06:55:00Z", "bad_form"),
        ("٢025-12-06T06:55:00Z", "bad_form"),
        ("2025-02-30T06:55:00Z", "bad_form"),
        ("2025-12-06T06:55:60Z", "bad_form"),
        ("0000-01-01T00:00:00Z", "bad_form"),
        ("2025-12-06T06:55:00Z\0", "bad_form"),
        ("0001-01-01T00:00:00+14:00", "time_out_of_range"),
        ("1970-01-01T00:00:00Z", "time_out_of_range"),
        ("2100-01-01T00:00:00Z", "time_out_of_range"),
    ],
)
def test_a_bad_time_is_named(given, reason):
    assert faults_of({"timestamp": given}) == [("/timestamp", reason)]


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"speed_mph": "45"}, ("/speed_mph", "wrong_type")),
        ({"speed_mph": True}, ("/speed_mph", "wrong_type")),
        ({"speed_mph": float("nan")}, ("/speed_mph", "out_of_range")),
        ({"speed_mph": float("inf")}, ("/speed_mph", "out_of_range")),
        ({"speed_mph": 10**400}, ("/speed_mph", "out_of_range")),
        ({"rpm": -(10**400)}, ("/rpm", "out_of_range")),
        ({"heading": 12.5}, ("/heading", "not_whole")),
        ({"ignition": 1}, ("/ignition", "wrong_type")),
        ({"location": [1, 2]}, ("/location", "wrong_type")),
        ({"location": {"lat": 1}}, ("/location/lng", "missing")),
        ({"location": {"lat": 91, "lng": 0}}, ("/location/lat", "out_of_range")),
        ({"location": {"lat": 1, "lng": 0, "alt": 3}}, ("/location/alt", "unknown_field")),
        ({"odometer_source": "guess"}, ("/odometer_source", "bad_form")),
        ({"odometer_source": ["obd"]}, ("/odometer_source", "bad_form")),
        ({"dtc_codes": "P0300"}, ("/dtc_codes", "wrong_type")),
        ({"dtc_codes": ["P0300"] * (MAX_DTC_CODES + 1)}, ("/dtc_codes", "wrong_type")),
        ({"dtc_codes": ["P0300", "P0300\0"]}, ("/dtc_codes/1", "bad_form")),
        ({"dtc_codes": [["P0300"]]}, ("/dtc_codes/0", "bad_form")),
        ({"a/b~c\0": 1}, ("/a~1b~0c\ufffd", "unknown_field")),
        ({"vin": VIN}, ("/vin", "unknown_field")),
    ],
)
def test_a_bad_field_is_named(fields, fault):
    assert faults_of({"timestamp": AT, **fields}) == [fault]


def test_all_faults_are_told_at_once():
    assert len(faults_of({"speed_mph": -1, "rpm": "x", "what": 1})) == 4


@pytest.mark.parametrize("document", [None, [], "reading", 7, [{"timestamp": AT}]])
def test_what_is_no_object_is_no_reading(document):
    assert faults_of(document) == [("", "wrong_type")]


@given(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), JSON, max_size=6))
def test_no_document_has_a_third_outcome(document):
    with suppress(ReadingRefusedError):
        parse_reading(document, VIN)
