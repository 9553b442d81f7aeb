from dataclasses import replace
from datetime import date

import pytest

from migrations.search.apply import template
from telematics.dtc import maybe_meaning
from warehouse.search.documents import (
    NOTHING_LIVE,
    Known,
    Live,
    Vehicle,
    build_document,
    merge_live,
    parse_live,
)

CAR = Vehicle("1HGCM82633A123456", "live", "Honda", "Accord", 2019)
STORED = {
    "seen": b'1765000000500|{"received_at":"2025-12-06T05:46:41.000Z"}',
    "position": b'1765000000000|{"lat":42.277123,"lng":-83.738456,"accuracy_m":4.5,"heading":90}',
    "odometer": b'1764999000000|{"miles":61234.5,"source":"can"}',
    "dtc_codes": b'1764999500000|["P0420","P0300","P0300"]',
}


def test_a_vehicle_of_which_nothing_is_known_has_a_document():
    assert build_document(Vehicle("V", "live", None, None, None), Known(), NOTHING_LIVE) == {
        "vin": "V",
        "origin": "live",
    }


def test_what_is_live_lies_over_what_the_warehouse_knows():
    known = Known(
        odometer_mi=60_000.0, odometer_source="gnss", odometer_on=date(2025, 12, 1), health_score=87,
        dtc_codes=("P0171",), dtc_on=date(2025, 12, 1),
    )  # fmt: skip
    document = build_document(CAR, known, parse_live(STORED))
    assert document == {
        "vin": "1HGCM82633A123456", "origin": "live", "make": "Honda", "model": "Accord", "year": 2019,
        "odometer_mi": 61234.5, "odometer_source": "can", "odometer_at": "2025-12-06T05:30:00.000Z",
        "health_score": 87,
        "dtc_codes": ["P0300", "P0420"],
        "dtc_meanings": [maybe_meaning("P0300"), maybe_meaning("P0420")],
        "dtc_at": "2025-12-06T05:38:20.000Z",
        "position": {"lat": 42.277123, "lon": -83.738456},
        "position_coarse": {"lat": 42.28, "lon": -83.74},
        "accuracy_m": 4.5,
        "position_at": "2025-12-06T05:46:40.000Z",
        "last_seen": "2025-12-06T05:46:40.500Z",
    }  # fmt: skip


def test_without_live_state_the_days_figures_stand():
    known = Known(odometer_mi=60_000.0, odometer_source="gnss", odometer_on=date(2025, 12, 1), dtc_codes=())
    document = build_document(CAR, known, NOTHING_LIVE)
    assert document["odometer_at"] == "2025-12-01T00:00:00Z"
    assert document["dtc_codes"] == []  # none, which is not the same as not known


def test_the_version_is_the_newest_records_time():
    assert parse_live(STORED).version == 1765000000500
    assert parse_live({"seen": None}).version == 0


def test_a_document_keeps_what_the_live_state_says_nothing_of():
    before = {"vin": "V", "make": "Honda", "last_seen": "old"}
    assert merge_live(before, Live(5, {"last_seen": "new"})) == {
        "vin": "V",
        "make": "Honda",
        "last_seen": "new",
    }


@pytest.mark.parametrize(
    "damaged",
    [
        b"", b"|", b"x|1", b"-5|{}", b"99999999999999999999|{}", b"1765000000000|{", b"1765000000000|[]",
        b'1765000000000|{"lat":214.0,"lng":0.0}', b'1765000000000|{"lat":"1","lng":2.0}',
        b'1765000000000|{"lat":1.0}', b"1765000000000|null",
    ],
)  # fmt: skip
def test_a_damaged_position_is_left_out_and_the_rest_serves(damaged):
    fields = parse_live({**STORED, "position": damaged}).fields
    assert "position" not in fields
    assert fields["odometer_mi"] == 61234.5


def test_an_unknown_code_has_no_meaning_but_is_found_as_itself():
    fields = parse_live({"dtc_codes": b'1|["P1234"]'}).fields
    assert (fields["dtc_codes"], fields["dtc_meanings"]) == (["P1234"], [])


def test_the_mapping_has_a_place_for_every_field_of_a_document():
    known = Known(1.0, "can", date(2025, 1, 1), 1, ("P0300",), date(2025, 1, 1))
    consented = replace(CAR, consents=("partner odometer:read",))
    document = build_document(consented, known, parse_live(STORED))
    assert set(template()["template"]["mappings"]["properties"]) == set(document)
