"""Cursors: exact, bound to their query, and nothing else passes."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from warehouse.history.cursor import InvalidCursorError, Position, decode, encode, fingerprint
from warehouse.history.resolution import Resolution

START = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2026, 2, 1, tzinfo=UTC)
QUERY = fingerprint("1HGCM82633A123456", START, END, ["time", "lat"], Resolution.RAW)
POSITION = Position(
    "1HGCM82633A123456", datetime(2026, 1, 5, 7, 8, 9, 123_456, tzinfo=UTC), "350000000000001", 250, -(2**63)
)


@pytest.mark.parametrize(
    "position",
    [
        POSITION,
        Position("", START, "partner:a/b ü", -1, 2**63 - 1),
        Position("1HGCM82633A123456", START),
        POSITION._replace(time=START - timedelta(10**5)),
    ],
)
def test_a_position_survives(position: Position) -> None:
    text = encode(position, QUERY)
    assert decode(text, QUERY) == position
    assert text.isascii()
    assert not set(text) & set("+/=?&#% ")


def test_every_changed_character_is_refused() -> None:
    text = encode(POSITION, QUERY)
    for place, character in enumerate(text):
        # the last character may carry bits that mean nothing; all others are covered by the checksum
        other = "A" if character != "A" else "Q"
        if place < len(text) - 1:
            with pytest.raises(InvalidCursorError):
                decode(text[:place] + other + text[place + 1 :], QUERY)


@pytest.mark.parametrize(
    "text",
    ["", "A", "AAAA", "=", "ä", "A" * 60, "a b", "AQ==" * 30, base64.urlsafe_b64encode(b"\0" * 60).decode()],
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursorError):
        decode(text, QUERY)


@pytest.mark.parametrize(
    "other",
    [
        fingerprint("1HGCM82633A123457", START, END, ["time", "lat"], Resolution.RAW),
        fingerprint("1HGCM82633A123456", START - timedelta(1), END, ["time", "lat"], Resolution.RAW),
        fingerprint("1HGCM82633A123456", START, END + timedelta(1), ["time", "lat"], Resolution.RAW),
        fingerprint("1HGCM82633A123456", START, END, ["time", "lng"], Resolution.RAW),
        fingerprint("1HGCM82633A123456", START, END, ["time", "lat"], Resolution.DAY),
    ],
)
def test_a_cursor_of_another_query_is_refused(other: bytes) -> None:
    with pytest.raises(InvalidCursorError):
        decode(encode(POSITION, QUERY), other)


def test_the_order_of_the_fields_does_not_matter() -> None:
    assert fingerprint("1HGCM82633A123456", START, END, ["lat", "time"], Resolution.RAW) == QUERY
