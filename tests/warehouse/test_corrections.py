"""What was wrong and is set right flows through: its days alone are built again, and nothing stays."""

import json
import secrets
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from clickhouse_connect.driver.client import Client

from ingest.codec8.records import AvlRecord, IoElement
from ingest.dead_letters.service import Outcome, replay
from ingest.registry.models import Family, NewDevice
from ingest.registry.moving import Move, move_device
from ingest.registry.repository import add_device, connect
from ingest.sink.decoding import PythonFrameDecoder, reject
from ingest.stream.messages import Headers
from telematics.clock import day_start, epoch_ms, utc_now
from telematics.names import Origin, scores_key
from telematics.settings import Settings
from tests.ingest.making import (
    FakeMessage,
    fresh_imei,
    fresh_offset,
    fresh_vin,
    make_frame,
    make_message,
    make_record,
)
from tests.ingest.sink.conftest import Bench
from tests.warehouse.archive.conftest import Road
from tests.warehouse.conftest import Fleet
from tests.warehouse.marts import build, content
from tests.warehouse.test_rebuild import drives
from warehouse.clients import timescale
from warehouse.day_load import load_days
from warehouse.dirty import dirty_days
from warehouse.publish import publish_summaries
from warehouse.retention import drop_merged_days
from warehouse.search.sources import read_tables

pytestmark = pytest.mark.integration
DAY = timedelta(1)


def renamed(rows: list[tuple[Any, ...]], old: str, new: str) -> list[tuple[Any, ...]]:
    """The rows as another vehicle's; a trip's id is a hash of its vehicle and no part of the comparison."""
    return sorted(
        (tuple(new if value == old else value for value in row if not is_trip_id(value)) for row in rows),
        key=repr,
    )


def is_trip_id(value: object) -> bool:
    return isinstance(value, str) and len(value) == 16 and set(value) <= set("0123456789abcdef")


def test_a_wrong_pairing_set_right_moves_every_row_to_the_other_vehicle(
    fleet: Fleet, warm: Client, tmp_path: Path
) -> None:
    """Its days lie in the archive, in ClickHouse alone, and in both ClickHouse and the hot tier."""
    settings = fleet.settings.model_copy(update={"archive_url": str(tmp_path / "archive")})
    road = Road(fleet, settings)
    imei, wrong = fleet.install()
    right = wrong.replace("WHTEST0", "WHTEST9")
    days = [fleet.day(number) for number in range(3)]
    until = days[-1] + 2 * DAY  # the last drive runs past midnight
    fleet.write([row for day in days for row in drives(fleet, imei, day)])
    load_days(settings, days[0], until, "wrong")
    build(settings, days[0], until, tmp_path)
    drop_merged_days(settings, days[1] + 8 * DAY, 7)
    road.archive(days[:1])
    publish_summaries(settings, until)
    before = content(warm, [wrong])
    assert before["trips"]
    assert before["ftr_component_days"]

    with timescale(settings, autocommit=False) as connection:
        # as a day that was loaded from files: the sink never wrote it
        connection.execute("delete from hot_days where day = %s", [days[1]])
        connection.execute("update day_loads set hot_version = 0 where day = %s", [days[1]])
        move_device(connection, Move(imei, right, day_start(days[0]), Origin.LIVE), "test", utc_now())
        connection.commit()
    dirty = dirty_days(settings, days[0], until)
    assert dirty == [*days, days[-1] + DAY]
    load_days(settings, dirty[0], dirty[-1] + DAY, "right", only_dirty=True)
    build(settings, dirty[0], dirty[-1] + DAY, tmp_path)

    lost = {table: rows for table, rows in content(warm, [wrong]).items() if rows}
    assert lost == {}
    gained = content(warm, [right])
    for table, rows in before.items():
        if table == "telemetry":  # the archived day came back
            assert len(gained[table]) > len(rows)
            continue
        assert renamed(gained[table], right, right) == renamed(rows, wrong, right), table
    report = publish_summaries(settings, until)
    assert report.withdrawn_count >= 1
    with redis.Redis.from_url(settings.valkey_url(), decode_responses=True) as published:
        assert published.get(scores_key(wrong)) is None
        odometer = json.loads(str(published.get(scores_key(right))))["odometer"]
    assert odometer["source"] == "gps_continuous"
    known = read_tables(warm, until)
    assert known.known(wrong).odometer_mi is None
    assert known.known(right).odometer_mi == pytest.approx(odometer["miles"], abs=0.001)


class Stream:
    """Kafka as a replay sees it."""

    def __init__(self, first_offset: int) -> None:
        self.messages: list[FakeMessage] = []
        self._next = first_offset

    def publish(self, topic: str, key: bytes, value: bytes, headers: Headers) -> None:
        self.messages.append(FakeMessage(topic, 0, self._next, key, value, headers))
        self._next += 1


class Faulty(PythonFrameDecoder):
    """A decoder with a fault: it rejects every frame with two records."""

    def _decode_message(self, message, registry, batch) -> None:  # type: ignore[no-untyped-def]
        if (message.value() or b"")[9] == 2:
            batch.rejects.append(reject(message, "a_fault_of_ours", "two are too many"))
        else:
            super()._decode_message(message, registry, batch)


@pytest.fixture
def sinks(stack: Settings) -> Iterator[Bench]:
    bench = Bench(stack, f"test.{secrets.token_hex(6)}", fresh_offset())
    yield bench
    for sink in bench.sinks:
        sink.close()


def test_a_replayed_dead_letter_is_late_data_of_its_day_alone(
    fleet: Fleet, sinks: Bench, warm: Client, tmp_path: Path
) -> None:
    settings, imei, vin = fleet.settings, fresh_imei(), fresh_vin()
    with connect(settings, "test") as connection:
        add_device(connection, NewDevice(imei, vin, Family.F, Origin.RECORDED), "test")
    day, next_day = fleet.day(1), fleet.day(5)

    def record_at(on: date, second: int) -> AvlRecord:
        at = epoch_ms(day_start(on)) + 1000 * (43_200 + second)
        return make_record(at, [IoElement(16, 4, 1_000_000 + 14 * second)])

    frames = [
        make_frame(record_at(day, 0)),
        make_frame(record_at(day, 10), record_at(day, 20)),  # what an earlier release did not take
        make_frame(record_at(day, 30)),
        *(make_frame(record_at(next_day, second)) for second in (0, 10, 20)),
    ]
    sinks.sink(decoder=Faulty())[0].handle(
        [
            make_message(frame, imei=imei, offset=sinks.first_offset + number)
            for number, frame in enumerate(frames)
        ]
    )
    load_days(settings, day, next_day + DAY, "without the letter")
    build(settings, day, next_day + DAY, tmp_path)
    before = content(warm, [vin])
    drop_merged_days(settings, next_day + 8 * DAY, 7)

    stream = Stream(sinks.first_offset + len(frames))
    (letter,) = sinks.dead_letters(imei)
    with connect(settings, "test") as connection:
        connection.autocommit = True
        done = replay(connection, int(str(letter["dead_letter_id"])), stream, "test")
    assert done.outcome is Outcome.REPLAYED
    sinks.sink()[0].handle(stream.messages)  # type: ignore[arg-type]  # as a consumer delivers them
    assert dirty_days(settings, day, next_day + DAY) == [day]
    load_days(settings, day, next_day + DAY, "with the letter", only_dirty=True)
    build(settings, day, day + DAY, tmp_path)

    after = content(warm, [vin])
    assert (len(before["telemetry"]), len(after["telemetry"])) == (5, 7)
    for table in ("trips", "vehicle_analytics", "odometer_readings", "vehicle_day_completeness"):
        untouched = [row for row in before[table] if next_day in row]
        assert untouched
        assert [row for row in after[table] if next_day in row] == untouched
        assert [row for row in after[table] if day in row] != [row for row in before[table] if day in row]
    driven = warm.query(
        "select record_count, trip_count, driving_s from analytics.vehicle_analytics "
        "where vin = {vin:String} order by date",
        parameters={"vin": vin},
    ).result_rows
    assert driven == [(4, 1, 30.0), (3, 1, 20.0)]
