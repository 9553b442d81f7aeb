import pytest

from ingest.dead_letters.models import Verdict, examine, headers_of
from ingest.stream.messages import Transport, encode_headers
from telematics.names import Topic
from tests.ingest.dead_letters.making import make_letter
from tests.ingest.making import NOON_MS, make_frame, make_reading_message, make_record

GOOD = make_frame(make_record())


def test_what_the_decoder_takes_today_is_accepted_with_its_records() -> None:
    assert examine(make_letter()) == Verdict(True, 2, "")


def test_a_reading_that_is_one_today_is_accepted() -> None:
    reading = make_reading_message().value()
    letter = make_letter(
        topic=Topic.READINGS.value, message=reading, transport=None, device_id="partner:pc_a"
    )
    assert examine(letter) == Verdict(True, 1, "")


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"message": GOOD[:-1] + bytes([GOOD[-1] ^ 1])}, "bad_crc"),
        ({"message": b"\0"}, "byte"),
        ({"transport": "udp"}, ""),
        ({"device_id": None}, "contract"),
        ({"transport": None}, "contract"),
        ({"received_at": None}, "contract"),
        ({"message": make_frame(make_record(), make_record(0))}, "time_out_of_range"),
        ({"topic": Topic.READINGS.value, "device_id": None}, "whose"),
        ({"topic": Topic.READINGS.value, "received_at": None}, "whose"),
        ({"topic": Topic.READINGS.value, "message": b"{"}, "bad_json"),
        ({"topic": Topic.READINGS.value, "message": b'{"vin":"0VE00000000000017"}'}, "missing"),
        ({"topic": "elsewhere"}, "elsewhere"),
    ],
)
def test_what_would_be_rejected_again_says_why(overrides: dict[str, object], says: str) -> None:
    verdict = examine(make_letter(**overrides))
    assert not verdict.is_accepted
    assert says in verdict.reason


def test_a_message_goes_out_with_the_headers_that_it_came_with() -> None:
    assert headers_of(make_letter()) == encode_headers(NOON_MS + 1000, Transport.TCP)
    assert headers_of(make_letter(transport=None)) == [("received_at", b"%d" % (NOON_MS + 1000))]
    assert headers_of(make_letter(received_at=None)) == []
