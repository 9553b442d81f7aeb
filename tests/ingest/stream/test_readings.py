from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.stream.messages import MalformedMessageError
from ingest.stream.reading_form import parse_reading
from ingest.stream.readings import MAX_READING_BYTES, decode_reading, encode_reading, partner_device_id
from tests.ingest.making import NOON_MS, FakeMessage, make_reading_message

VIN = "0VE00000000000017"
AT = "2025-03-14T12:00:00Z"
PARTNER = partner_device_id("pc_abcdefghijklmnopqrst").encode()


def test_what_is_encoded_is_decoded():
    document = {"timestamp": AT, "speed_mph": 45, "location": {"lat": 1, "lng": 2}, "dtc_codes": ["P0300"]}
    read = decode_reading(make_reading_message(document, offset=7, partition=3))
    assert read.reading == parse_reading(document, VIN)
    assert (read.partition, read.offset, read.received_at_ms) == (3, 7, NOON_MS + 1000)
    assert read.imei == "001000000000017"


def test_a_partners_reading_names_no_device():
    read = decode_reading(make_reading_message(key=PARTNER))
    assert read.imei is None
    assert read.device_id == "partner:pc_abcdefghijklmnopqrst"


def test_the_canonical_form_is_sorted_and_bare():
    reading = parse_reading({"timestamp": AT, "speed_mph": 45, "heading": 90.0, "ignition": True}, VIN)
    assert encode_reading(reading) == (
        b'{"heading":90,"ignition":true,"speed_mph":45.0,"timestamp":"2025-03-14T12:00:00.000Z",'
        b'"vin":"0VE00000000000017"}'
    )


def test_one_reading_has_one_hash_however_it_was_written():
    ways = [
        b'{"vin":"0VE00000000000017","timestamp":"2025-03-14T12:00:00Z","speed_mph":45}',
        b'{"speed_mph": 45.0, "timestamp":"2025-03-14T13:00:00+01:00", "vin":"0VE00000000000017","rpm":null}',
    ]
    hashes = {decode_reading(make_reading_message(value=way)).content_hash for way in ways}
    assert len(hashes) == 1


def test_two_vehicles_have_two_hashes():
    hashes = {
        decode_reading(make_reading_message(vin=vin)).content_hash
        for vin in ("0VE00000000000017", "0VE00000000000018")
    }
    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (make_reading_message(key=None), "bad_key"),
        (make_reading_message(key=b"00100000000001"), "bad_key"),
        (make_reading_message(key=b"partner:"), "bad_key"),
        (make_reading_message(key=b"partner:\xff"), "bad_key"),
        (make_reading_message(key=b"partner:a b"), "bad_key"),
        (make_reading_message(value=b""), "no_value"),
        (make_reading_message(value=b"{"), "bad_json"),
        (make_reading_message(value=b"[" * 5000), "bad_json"),
        (make_reading_message(value=b"[]"), "bad_json"),
        (make_reading_message(value=b" " * MAX_READING_BYTES + b"{}"), "bad_json"),
        (make_reading_message(value=b'{"vin":"\xff"}'), "bad_json"),
        (make_reading_message(value=b'{"timestamp":"2025-03-14T12:00:00Z"}'), "bad_vin"),
        (make_reading_message(value=b'{"vin":"IOQ"}'), "bad_vin"),
        (make_reading_message(value=b'{"vin":"0VE00000000000017"}'), "missing"),
        (
            make_reading_message(value=b'{"vin":"0VE00000000000017","timestamp":"1970-01-01T00:00:00Z"}'),
            "time_out_of_range",
        ),
        (FakeMessage("t", 0, 0, PARTNER, b"{}", None), "bad_headers"),
        (FakeMessage("t", 0, 0, PARTNER, b"{}", [("received_at", b"x")]), "bad_headers"),
    ],
)
def test_a_message_that_breaks_the_contract_says_which_part(message, reason):
    with pytest.raises(MalformedMessageError) as caught:
        decode_reading(message)
    assert caught.value.reason == reason


@given(st.binary(max_size=200))
def test_no_bytes_have_a_third_outcome(value):
    with suppress(MalformedMessageError):
        decode_reading(make_reading_message(value=value))
