import pytest

from ingest.stream.messages import (
    FrameMessage,
    Headers,
    MalformedMessageError,
    Transport,
    decode_frame,
    encode_headers,
)

IMEI = b"356307042441013"
NOW_MS = 1_760_000_000_123
GOOD = encode_headers(NOW_MS, Transport.TCP)


class Stored:
    """A message as a consumer gets it."""

    def __init__(
        self,
        key: bytes | None = IMEI,
        value: bytes | None = b"frame",
        headers: Headers | None = GOOD,
        offset: int | None = 7,
    ) -> None:
        self._key, self._value, self._headers, self._offset = key, value, headers, offset

    def topic(self) -> str:
        return "frames"

    def partition(self) -> int:
        return 3

    def offset(self) -> int | None:
        return self._offset

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def headers(self) -> Headers | None:
        return self._headers


@pytest.mark.parametrize("transport", Transport)
def test_what_is_encoded_is_decoded(transport: Transport):
    message = Stored(headers=encode_headers(NOW_MS, transport))
    assert decode_frame(message) == FrameMessage("frames", 3, 7, IMEI.decode(), b"frame", NOW_MS, transport)


def test_headers_are_plain_ascii():
    assert GOOD == [("received_at", b"1760000000123"), ("transport", b"tcp")]


def test_headers_of_others_are_passed_over():
    decode_frame(Stored(headers=[("traceparent", b"00-1"), *GOOD]))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Stored(key=None), "bad_key"),
        (Stored(key=b"35630704244101"), "bad_key"),
        (Stored(key=b"35630704244101\xff"), "bad_key"),
        (Stored(value=None), "no_value"),
        (Stored(value=b""), "no_value"),
        (Stored(headers=None), "bad_headers"),
        (Stored(headers=GOOD[:1]), "bad_headers"),
        (Stored(headers=GOOD[1:]), "bad_headers"),
        (Stored(headers=[("received_at", b"-1"), GOOD[1]]), "bad_headers"),
        (Stored(headers=[("received_at", b"1_0"), GOOD[1]]), "bad_headers"),
        (Stored(headers=[("received_at", None), GOOD[1]]), "bad_headers"),
        (Stored(headers=[("received_at", b"9" * 15), GOOD[1]]), "bad_headers"),
        (Stored(headers=[("received_at", b"9" * 10_000), GOOD[1]]), "bad_headers"),
        (Stored(headers=[GOOD[0], ("transport", b"pigeon")]), "bad_headers"),
        (Stored(offset=None), "no_position"),
    ],
)
def test_a_message_that_breaks_the_contract_says_which_part(message: Stored, reason: str):
    with pytest.raises(MalformedMessageError) as caught:
        decode_frame(message)
    assert caught.value.reason == reason
