"""TimescaleDB full, slow or gone under a running sink: it waits, goes on, and loses nothing."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from confluent_kafka import Producer

from ingest.sink.errors import StoreUnavailableError
from ingest.stream.messages import Transport, encode_headers
from telematics.names import Topic
from telematics.settings import Settings
from tests.ingest.making import NOON_MS, FakeMessage, fresh_imei, make_frame, make_message, make_record
from tests.ingest.relay import Relay
from tests.ingest.sink.conftest import Bench, Vehicle
from tests.ingest.sink.test_stream import SinkRun, stored, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

HELD_S = 1.0


def frames(bench: Bench, imei: str, start: int, count: int) -> list[FakeMessage]:
    return [
        make_message(make_frame(make_record(NOON_MS + number)), imei=imei, offset=bench.first_offset + number)
        for number in range(start, start + count)
    ]


@contextmanager
def full_for(bench: Bench, imei: str, state: str) -> Iterator[None]:
    """PostgreSQL has no room for rows of this device: it says so itself, in the middle of a COPY."""
    name = f"full_{secrets.token_hex(4)}"
    with psycopg.connect(bench.settings.timescale_dsn(), autocommit=True) as connection:
        connection.execute(
            f"create function {name}() returns trigger language plpgsql as $$ begin"
            f" raise exception 'no room' using errcode = '{state}'; end $$"
        )
        connection.execute(
            f"create trigger {name} before insert on telemetry for each row"
            f" when (new.device_id = '{imei}') execute function {name}()"
        )
        try:
            yield
        finally:
            connection.execute(f"drop trigger {name} on telemetry")
            connection.execute(f"drop function {name}()")


@pytest.mark.parametrize("state", ["53100", "53200"], ids=["disk full", "out of memory"])
def test_a_database_without_room_is_waited_for_and_nothing_is_parked(
    bench: Bench, vehicle: Vehicle, state: str
) -> None:
    sink, _ = bench.sink()
    sink.handle(frames(bench, vehicle.imei, 0, 2))
    with full_for(bench, vehicle.imei, state):
        for _ in range(2):
            with pytest.raises(StoreUnavailableError, match=state):
                sink.handle(frames(bench, vehicle.imei, 2, 3))
        assert bench.next_offset() == bench.first_offset + 2
    sink.handle(frames(bench, vehicle.imei, 2, 3))
    assert len(bench.rows(vehicle.imei)) == 5
    assert bench.dead_letters(vehicle.imei) == []
    assert bench.next_offset() == bench.first_offset + 5


def test_a_slow_database_is_waited_for_in_the_middle_of_a_batch(bench: Bench, vehicle: Vehicle) -> None:
    sink, _ = bench.sink()
    sink.handle(frames(bench, vehicle.imei, 0, 1))
    done = threading.Event()

    def consume() -> None:
        sink.handle(frames(bench, vehicle.imei, 1, 4))
        done.set()

    with psycopg.connect(bench.settings.timescale_dsn()) as other:
        # the last thing that a batch takes
        other.execute("select 1 from hot_days where day = '2025-03-14' for update")
        thread = threading.Thread(target=consume)
        thread.start()
        assert not done.wait(HELD_S)
        assert len(bench.rows(vehicle.imei)) == 1, "nothing shows before all of it does"
        other.rollback()
    thread.join(30)
    assert done.is_set()
    assert len(bench.rows(vehicle.imei)) == 5
    assert bench.next_offset() == bench.first_offset + 5


def test_a_running_sink_outlives_a_database_that_goes_away(stack: Settings) -> None:
    relay, imei = Relay(stack.timescale_port), fresh_imei()
    producer = Producer({"bootstrap.servers": stack.kafka_bootstrap, "enable.idempotence": True})
    run = SinkRun(stack.model_copy(update={"timescale_port": relay.port}))

    def produce(start: int) -> None:
        for number in range(start, start + 3):
            producer.produce(
                Topic.AVL_FRAMES,
                make_frame(make_record(NOON_MS + number)),
                imei.encode(),
                headers=encode_headers(NOON_MS, Transport.TCP),
            )
        assert producer.flush(20) == 0

    try:
        produce(0)
        run.start()
        wait_until(lambda: stored(stack, imei) == 3)
        relay.cut()
        produce(3)
        threading.Event().wait(HELD_S)
        assert stored(stack, imei) == 3
        relay.heal()
        wait_until(lambda: stored(stack, imei) == 6)
    finally:
        run.stop()
        relay.close()
    assert run.error is None
