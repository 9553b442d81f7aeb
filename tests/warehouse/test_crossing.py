"""COPY's bytes to Native's, value by value; and every column of real rows through both servers."""

import json
import random
import struct
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from clickhouse_connect.driver.client import Client

from ingest.stream.readings import PARTNER_PREFIX
from tests.warehouse.conftest import Fleet
from warehouse import columns
from warehouse.crossing import SIGNATURE, BrokenCopyError, Crossing, Wire, pieces
from warehouse.day_load import load_days

_HEAD = SIGNATURE + bytes(8)
_TRAILER = b"\xff\xff"


def copy_row(*fields: bytes | None) -> bytes:
    """A row as PostgreSQL's manual describes it."""
    parts = [struct.pack("!h", len(fields))]
    for value in fields:
        parts += [struct.pack("!i", -1)] if value is None else [struct.pack("!i", len(value)), value]
    return b"".join(parts)


def cross(kind: str, wire: Wire, values: Iterable[bytes | None]) -> bytes:
    """The Native block of one column; as the last of two, so that its place in the row counts."""
    rows = [copy_row(b"\x01", value) for value in values]
    (piece,) = pieces([_HEAD + rows[0], *rows[1:], _TRAILER])
    _, block = Crossing([("first", "Bool", Wire.ONE), ("it", kind, wire)]).block(piece)
    _, _, own = block.partition(b"\x02it" + bytes([len(kind)]) + kind.encode())
    return own


def test_numbers_have_their_bytes_turned_round_and_nulls_a_map() -> None:
    values = [struct.pack("!d", 0.1), None, struct.pack("!d", -1e300)]
    assert cross("Nullable(Float64)", Wire.EIGHT, values) == b"\0\1\0" + struct.pack("<3d", 0.1, 0, -1e300)
    assert cross("Int32", Wire.FOUR, [struct.pack("!i", -2)]) == struct.pack("<i", -2)
    assert cross("Nullable(Int16)", Wire.TWO, [struct.pack("!h", -300)]) == b"\0" + struct.pack("<h", -300)
    assert cross("Bool", Wire.ONE, [b"\1", b"\0"]) == b"\1\0"


@pytest.mark.parametrize(
    ("micros", "millis"),
    [(0, 946_684_800_000), (1_999, 946_684_800_001), (-1, 946_684_799_999), (-946_684_800_000_001, -1)],
)
def test_a_moment_loses_what_is_less_than_a_millisecond(micros: int, millis: int) -> None:
    """Downwards, also before 1970: a day's last microsecond stays in its day."""
    block = cross("DateTime64(3, 'UTC')", Wire.MOMENT, [struct.pack("!q", micros)])
    assert block == struct.pack("<q", millis)


@pytest.mark.parametrize(
    ("length", "prefix"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\1"), (20_000, b"\xa0\x9c\1")]
)
def test_texts_come_with_their_length(length: int, prefix: bytes) -> None:
    text = bytes(place % 251 for place in range(length))
    assert cross("String", Wire.TEXT, [text, b"x"]) == prefix + text + b"\1x"
    assert cross("String", Wire.JSON, [b"\1" + text, b"\1{}"]) == prefix + text + b"\2{}"


def test_a_column_of_nulls_is_left_out_of_its_block() -> None:
    (piece,) = pieces([_HEAD + copy_row(b"\1", None), _TRAILER])
    crossing = Crossing([("first", "Bool", Wire.ONE), ("it", "Nullable(Int16)", Wire.TWO)])
    assert crossing.block(piece) == (1, b"\1\1\5first\4Bool\1")


def test_no_rows_are_no_block() -> None:
    crossing = Crossing([("it", "Bool", Wire.ONE)])
    assert [crossing.block(piece) for piece in pieces([_HEAD + _TRAILER])] == [(0, b"")]


@pytest.mark.parametrize(
    "rows",
    [
        copy_row(b"\1", b"\1"),  # a column too many
        copy_row(b"\1")[:-1],  # cut off in a value
        copy_row(b"\1")[:4],  # and in a length
        copy_row(b"\0\1"),  # a value that is wider than its column
    ],
)
def test_what_is_no_row_of_these_columns_is_refused(rows: bytes) -> None:
    (piece,) = pieces([_HEAD + rows])
    with pytest.raises(BrokenCopyError):
        Crossing([("it", "Bool", Wire.ONE)]).block(piece)


def test_an_answer_that_is_no_binary_copy_is_refused() -> None:
    with pytest.raises(BrokenCopyError):
        [*pieces([b"2026-01-01\t7\n"])]


def test_a_null_where_none_may_be_is_refused() -> None:
    (piece,) = pieces([_HEAD + copy_row(None), copy_row(b"\1"), _TRAILER])
    with pytest.raises(BrokenCopyError, match="it is NULL in 1 rows"):
        Crossing([("it", "Bool", Wire.ONE)]).block(piece)


def test_what_names_a_vehicle_is_told_from_an_imei_by_its_first_letter() -> None:
    prefixes = PARTNER_PREFIX, columns.BACKFILL_PREFIX
    assert all("a" <= prefix[0] <= "z" for prefix in prefixes)
    assert "9" * 15 < "a"


_ANY_VALUE: dict[str, Callable[[random.Random], Any]] = {
    "smallint": lambda chance: chance.choice([-(2**15), 2**15 - 1, chance.randrange(2**15)]),
    "integer": lambda chance: chance.choice([-(2**31), 2**31 - 1, chance.randrange(2**31)]),
    "bigint": lambda chance: chance.choice([-(2**63), 2**63 - 1, chance.randrange(2**63)]),
    "real": lambda chance: struct.unpack("f", struct.pack("f", chance.gauss(0, 1e6)))[0],
    "double precision": lambda chance: chance.gauss(0, 1e6),
    "boolean": lambda chance: chance.random() < 0.5,
    "ARRAY": lambda chance: chance.sample(["P0300", "C0035", "U0100"], chance.randrange(4)),
    "jsonb": lambda chance: json.dumps({chance.randrange(999): 'é"\\\n' * chance.randrange(99)}),
}


@pytest.mark.integration
def test_whatever_a_row_holds_arrives(fleet: Fleet, hot: psycopg.Connection, warm: Client) -> None:
    """Random rows, a third of their cells NULL, of every column but those that a load works out itself."""
    chance = random.Random(6)
    imei, _ = fleet.install()
    fleet.write(fleet.make_rows(imei, fleet.day(), 200, step_s=7.0))
    hot.execute("set timezone = 'UTC'")
    named = {"time", "device_id", "vin", "received_at", "odometer_source"}
    types = hot.execute(
        "select column_name, data_type, is_nullable = 'YES' from information_schema.columns "
        "where table_schema = 'public' and table_name = 'telemetry' and column_name <> all (%s)",
        [[*named]],
    ).fetchall()
    for (moment,) in hot.execute("select time from telemetry where device_id = %s", [imei]).fetchall():
        cells = {
            name: None if may_be_null and chance.random() < 1 / 3 else _ANY_VALUE[kind](chance)
            for name, kind, may_be_null in types
        }
        hot.execute(
            f"update telemetry set {', '.join(f'{name} = %({name})s' for name in cells)}, "
            "received_at = %(received_at)s where device_id = %(imei)s and time = %(time)s",
            {**cells, "imei": imei, "time": moment, "received_at": moment + timedelta(microseconds=1_999)},
        )
    load_days(fleet.settings, fleet.day(), fleet.day(1), "test")
    names = sorted(name for name, *_ in types)
    # as text, a float of four bytes would come back as the nearest of eight to what is printed
    expected = hot.execute(
        f"select time, {', '.join(names)} from telemetry where device_id = %s order by time",
        [imei],
        binary=True,
    ).fetchall()
    found = warm.query(
        f"select time, received_at, dtc_known, {', '.join(names)} from analytics.telemetry "
        "where device_id = {imei:String} order by time",
        parameters={"imei": imei},
    ).result_rows
    assert len(found) == len(expected) == 200
    for cold, was in zip(found, expected, strict=True):
        moment, wanted = was[0], dict(zip(names, was[1:], strict=True))
        assert _aware(cold[0]) == moment
        assert _aware(cold[1]) == moment + timedelta(milliseconds=1)
        assert cold[2] is (wanted["dtc_codes"] is not None)
        wanted["dtc_codes"] = wanted["dtc_codes"] or []
        have = dict(zip(names, cold[3:], strict=True))
        assert _read(have.pop("raw_data")) == wanted.pop("raw_data")
        assert have == wanted


def _aware(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)


def _read(text: str) -> Any:
    return json.loads(text) if text else None
