"""What PostgreSQL makes of our bytes, and the fast and the safe way into the hypertable."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from ingest.codec8.records import IoElement
from ingest.sink.columns import COLUMN_LIST, COLUMN_NAMES, POSTGRES_EPOCH_MS
from ingest.sink.copy_binary import CopyEncoder, Row
from ingest.sink.decoding import DecodedBatch, PythonFrameDecoder
from ingest.sink.errors import FencedError, RowRefusedError
from ingest.sink.store import OffsetMove, TelemetryStore
from telematics.clock import from_epoch_ms
from tests.ingest.making import (
    NOON_MS,
    fresh_imei,
    make_frame,
    make_installation,
    make_message,
    make_record,
    make_registry,
)
from tests.ingest.sink.conftest import Bench

pytestmark = pytest.mark.integration

DAY = NOON_MS // 86_400_000


def decode(imei: str, *times_ms: int) -> DecodedBatch:
    frames = [
        make_message(make_frame(make_record(time_ms)), imei=imei, offset=n)
        for n, time_ms in enumerate(times_ms)
    ]
    return PythonFrameDecoder().decode(frames, make_registry(make_installation(imei)), {})


def batch_of(rows: list[Row]) -> DecodedBatch:
    return DecodedBatch(CopyEncoder().encode(rows), len(rows), 0, {DAY: len(rows)}, [], {}, 0)


def full_row(imei: str) -> Row:
    """Every column with a value that a narrower type would spoil."""
    moment = (NOON_MS + 123 - POSTGRES_EPOCH_MS) * 1000
    return {
        "time": moment, "received_at": moment, "device_id": imei.encode(), "vin": b"0VE00000000000017",
        "lat": -89.9999999, "lng": 179.1234567, "speed_mph": 62.137119, "heading": 360,
        "altitude_ft": -19.685039,
        "odometer": 123456.789012, "fuel_pct": 70.5, "battery_v": 12.345, "event_id": 65535, "priority": 255,
        "satellites": 255, "hdop": 1.25, "is_valid": True, "ignition": False, "movement": True, "rpm": 65535,
        "coolant_c": -128, "engine_load_pct": 255, "maf_gps": 655.35, "ambient_c": -40, "fuel_trim_pct": -100,
        "hv_soc_pct": 100, "odometer_gnss_m": 2**32 - 1, "odometer_can_m": 1,
        "odometer_obd_m": (2**32 - 1) * 1000, "crank_v": 9.6, "charge_v": 14.2, "harsh_kind": 3,
        "harsh_value": 255, "content_hash": -(2**63), "stream_position": 2**63 - 1, "odometer_source": "can",
        "dtc_codes": ("P0300", 'quo"te', "{,}", "é"),
        "raw_data": json.dumps({"78": 2**64 - 1, "256": "31484700ff"}),
    }  # fmt: skip


def as_parameter(name: str, row: Row) -> object:
    value = row.get(name)
    if name in ("time", "received_at"):
        return datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(str(value)))
    if isinstance(value, bytes):
        return value.decode()
    return list(value) if isinstance(value, tuple) else value


def test_copied_rows_equal_the_same_values_inserted_plainly(bench: Bench) -> None:
    full = full_row(fresh_imei())
    required = ("time", "device_id", "event_id", "received_at", "content_hash", "stream_position")
    bare = {name: full[name] for name in required}
    rows: list[Row] = [full, {**bare, "event_id": 1}, {**bare, "event_id": 2, "dtc_codes": ()}]
    store = TelemetryStore(bench.settings)
    with store.transaction() as transaction:
        assert transaction.insert(batch_of(rows)) == {DAY: 3}
    store.close()
    with psycopg.connect(bench.settings.timescale_dsn()) as connection:
        connection.execute("create temp table plain (like telemetry)")
        marks = ", ".join(["%s"] * len(COLUMN_NAMES))
        for row in rows:
            values = [as_parameter(name, row) for name in COLUMN_NAMES]
            connection.execute(f"insert into plain ({COLUMN_LIST}) values ({marks})", values)
        stored = f"select {COLUMN_LIST} from telemetry where device_id = %s"
        plain = f"select {COLUMN_LIST} from plain"
        imei = as_parameter("device_id", full)
        assert len(connection.execute(f"({stored}) intersect ({plain})", (imei,)).fetchall()) == 3
        assert connection.execute(f"({stored}) except ({plain})", (imei,)).fetchall() == []


@pytest.mark.parametrize("io", [
    [IoElement(281, 0, b"P03\x0000,\xff")],
    [IoElement(9000 + n, 0, bytes([n])) for n in range(256)],
    [IoElement(7, 0, b'"}\x00{"\\u0000')],
    [IoElement(7, 0, b"x" * 60_000)],
])  # fmt: skip
def test_weird_text_in_a_record_never_breaks_the_copy(bench: Bench, io: list[IoElement]) -> None:
    imei = fresh_imei()
    frame = make_frame(make_record(io=io))
    batch = PythonFrameDecoder().decode(
        [make_message(frame, imei=imei)], make_registry(make_installation(imei)), {}
    )
    store = TelemetryStore(bench.settings)
    with store.transaction() as transaction:
        transaction.insert(batch)
    store.close()
    (row,) = bench.rows(imei)
    assert row["raw_data"] == {str(item.id): item.raw.hex() for item in io if isinstance(item.raw, bytes)}


@pytest.mark.parametrize("repeated", [1, 5, 10])
def test_rows_that_are_there_already_are_left_out_and_not_counted(bench: Bench, repeated: int) -> None:
    imei, store = fresh_imei(), TelemetryStore(bench.settings)
    times = [NOON_MS + n for n in range(10)]
    with store.transaction() as transaction:
        assert transaction.insert(decode(imei, *times[-repeated:])) == {DAY: repeated}
    with store.transaction() as transaction:
        assert transaction.insert(decode(imei, *times)) == Counter({DAY: 10 - repeated})
    store.close()
    assert [row["time"] for row in bench.rows(imei)] == [from_epoch_ms(time_ms) for time_ms in times]


def test_the_safe_way_counts_by_utc_day(bench: Bench) -> None:
    imei, store = fresh_imei(), TelemetryStore(bench.settings)
    midnight = (DAY + 1) * 86_400_000
    with store.transaction() as transaction:
        transaction.insert(decode(imei, midnight))
        assert transaction.insert(decode(imei, midnight - 1, midnight, midnight + 1)) == {DAY: 1, DAY + 1: 1}
    store.close()


def test_a_refused_row_takes_nothing_else_with_it(bench: Bench) -> None:
    imei, store = fresh_imei(), TelemetryStore(bench.settings)
    broken = {**full_row(imei), "raw_data": "{"}
    with store.transaction() as transaction:
        transaction.insert(decode(imei, NOON_MS))
        with pytest.raises(RowRefusedError) as refused:
            transaction.insert(batch_of([broken]))
        transaction.insert(decode(imei, NOON_MS + 1))
    store.close()
    assert refused.value.sqlstate == "22P02"
    assert len(bench.rows(imei)) == 2


@pytest.mark.parametrize("expected", [None, 4, 6])
def test_offsets_move_only_from_where_they_stand(bench: Bench, expected: int | None) -> None:
    store = TelemetryStore(bench.settings)

    def move(start: int | None, end: int) -> list[OffsetMove]:
        return [OffsetMove("telemetry.avl_frames.v1", 0, "cluster-1", "topic-1", start, end)]

    with store.transaction() as transaction:
        transaction.advance(bench.group, move(None, 5))
    with pytest.raises(FencedError), store.transaction() as transaction:
        transaction.advance(bench.group, move(expected, 9))
    assert bench.next_offset() == 5
    with store.transaction() as transaction:
        transaction.advance(bench.group, move(5, 9))
    assert bench.next_offset() == 9
    store.close()
