"""The sink on a real TimescaleDB: each message has its effect exactly once, whatever goes wrong."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import psycopg
import pytest
from confluent_kafka import OFFSET_BEGINNING, TopicPartition
from prometheus_client import CollectorRegistry

from ingest.codec8.records import IoElement
from ingest.registry_cache import Registry
from ingest.sink.decoding import DecodedBatch, OdometerSources, PythonFrameDecoder
from ingest.sink.errors import StoreUnavailableError, StreamMismatchError
from ingest.stream.identity import StreamIdentity
from ingest.stream.messages import RawMessage
from telematics.errors import UnavailableError
from telematics.names import Topic
from telematics.settings import Settings
from tests.ingest.making import NOON_MS, FakeMessage, fresh_imei, make_frame, make_message, make_record
from tests.ingest.relay import Relay
from tests.ingest.sink.conftest import IDENTITY, Bench, Vehicle

pytestmark = pytest.mark.integration

FRAMES = Topic.AVL_FRAMES.value


def frames(
    bench: Bench, imei: str, start: int, count: int, io: Sequence[IoElement] = ()
) -> list[FakeMessage]:
    """Messages number `start` onward, each with one record a second later than the one before."""
    return [
        make_message(
            make_frame(make_record(NOON_MS + 1000 * number, io)),
            imei=imei,
            offset=bench.first_offset + number,
        )
        for number in range(start, start + count)
    ]


def figure(figures: CollectorRegistry, name: str, **labels: str) -> float:
    return figures.get_sample_value(f"piston_sink_{name}", labels) or 0.0


def day_version(bench: Bench) -> int:
    rows = bench.query("select version from hot_days where day = '2025-03-14'")
    return int(str(rows[0]["version"])) if rows else 0


@pytest.fixture
def relay(stack: Settings) -> Iterator[Relay]:
    relay = Relay(stack.timescale_port)
    yield relay
    relay.close()


def through(relay: Relay, settings: Settings) -> Settings:
    return settings.model_copy(update={"timescale_port": relay.port})


def test_rows_offsets_and_days_are_written_together(bench: Bench, vehicle: Vehicle) -> None:
    sink, figures = bench.sink()
    version = day_version(bench)
    sink.handle(frames(bench, vehicle.imei, 0, 3))
    stored = bench.rows(vehicle.imei)
    assert [row["vin"] for row in stored] == [vehicle.vin] * 3
    assert bench.next_offset() == bench.first_offset + 3
    assert day_version(bench) == version + 1
    assert (figure(figures, "frames_total"), figure(figures, "records_total")) == (3, 3)


def test_a_new_group_begins_at_the_beginning_and_an_old_one_where_it_stood(
    bench: Bench, vehicle: Vehicle
) -> None:
    sink, _ = bench.sink()
    (partition,) = sink.assigned([TopicPartition(FRAMES, 0)])
    assert partition.offset == OFFSET_BEGINNING
    sink.handle(frames(bench, vehicle.imei, 0, 3))
    successor, _ = bench.sink()
    (partition,) = successor.assigned([TopicPartition(FRAMES, 0)])
    assert partition.offset == bench.first_offset + 3


def test_messages_that_come_again_change_nothing(bench: Bench, vehicle: Vehicle) -> None:
    sink, _ = bench.sink()
    sink.handle(frames(bench, vehicle.imei, 0, 3))
    version = day_version(bench)
    sink.handle(frames(bench, vehicle.imei, 0, 3))
    assert day_version(bench) == version
    sink.handle(frames(bench, vehicle.imei, 1, 4))
    assert len(bench.rows(vehicle.imei)) == 5


def test_a_device_that_sends_its_records_again_is_counted_and_not_stored_twice(
    bench: Bench, vehicle: Vehicle
) -> None:
    sink, figures = bench.sink()
    first = frames(bench, vehicle.imei, 0, 3)
    resent = [replace(message, _offset=message.offset() + 3) for message in first]
    sink.handle(first)
    version = day_version(bench)
    sink.handle(resent)
    assert len(bench.rows(vehicle.imei)) == 3
    assert figure(figures, "duplicates_total") == 3
    assert day_version(bench) == version, "a day without a new row must not become dirty"
    assert bench.next_offset() == bench.first_offset + 6


class TestTakeover:
    def test_a_sink_that_was_replaced_stores_nothing_twice_and_nothing_behind(
        self, bench: Bench, vehicle: Vehicle
    ) -> None:
        zombie, figures = bench.sink()
        successor, _ = bench.sink()
        successor.handle(frames(bench, vehicle.imei, 0, 3))
        version = day_version(bench)
        zombie.handle(frames(bench, vehicle.imei, 0, 2))
        assert figure(figures, "fenced_total") == 1
        assert day_version(bench) == version
        assert bench.next_offset() == bench.first_offset + 3

    def test_it_goes_on_behind_what_the_other_stored(self, bench: Bench, vehicle: Vehicle) -> None:
        zombie, _ = bench.sink()
        successor, _ = bench.sink()
        successor.handle(frames(bench, vehicle.imei, 0, 3))
        zombie.handle(frames(bench, vehicle.imei, 0, 5))
        assert len(bench.rows(vehicle.imei)) == 5
        assert bench.next_offset() == bench.first_offset + 5

    def test_two_sinks_at_once_settle_each_message_once(self, bench: Bench, vehicle: Vehicle) -> None:
        sinks = [bench.sink()[0] for _ in range(2)]
        version = day_version(bench)

        def consume(sink_number: int) -> None:
            for start in range(0, 40, 4):
                sinks[sink_number].handle(frames(bench, vehicle.imei, start, 4))

        threads = [threading.Thread(target=consume, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(bench.rows(vehicle.imei)) == 40
        assert bench.next_offset() == bench.first_offset + 40
        assert day_version(bench) == version + 10


class TestStreamIdentity:
    @pytest.mark.parametrize(
        "other",
        [StreamIdentity("cluster-2", IDENTITY.topic_ids), StreamIdentity("cluster-1", {FRAMES: "topic-9"})],
    )
    def test_offsets_of_another_cluster_or_topic_stop_the_sink(
        self, bench: Bench, vehicle: Vehicle, other: StreamIdentity
    ) -> None:
        sink, _ = bench.sink()
        sink.handle(frames(bench, vehicle.imei, 0, 1))
        with pytest.raises(StreamMismatchError, match="delete from stream_offsets"):
            bench.sink(identity=other)


class TestDeadLetters:
    def test_they_hold_the_whole_message_and_the_reason(self, bench: Bench, vehicle: Vehicle) -> None:
        sink, figures = bench.sink()
        messages = frames(bench, vehicle.imei, 0, 3)
        value = messages[1].value() or b""
        bad = value[:-1] + bytes([value[-1] ^ 1])
        sink.handle([messages[0], replace(messages[1], _value=bad), messages[2]])
        (letter,) = bench.dead_letters(vehicle.imei)
        assert (letter["reason"], bytes(letter["message"])) == ("bad_crc", bad)  # type: ignore[arg-type]
        assert (letter["message_offset"], letter["transport"], letter["status"]) == (
            bench.first_offset + 1,
            "tcp",
            "open",
        )
        assert len(bench.rows(vehicle.imei)) == 2
        assert bench.next_offset() == bench.first_offset + 3
        assert figure(figures, "dead_letters_total", reason="bad_crc") == 1

    def test_a_row_that_postgresql_refuses_parks_its_frame_alone(
        self, bench: Bench, vehicle: Vehicle
    ) -> None:
        class Poisoner:
            """Spoils the JSON of records with element 9666, as a decoder with a fault would."""

            def __init__(self) -> None:
                self._decoder = PythonFrameDecoder()

            def decode(
                self, messages: Sequence[RawMessage], registry: Registry, sources: OdometerSources
            ) -> DecodedBatch:
                good = self._decoder.decode(messages, registry, sources)
                return replace(good, copy=good.copy.replace(b'{"9666"', b'{!9666"'))

        sink, figures = bench.sink(decoder=Poisoner())
        messages = frames(bench, vehicle.imei, 0, 11)
        poison = frames(bench, vehicle.imei, 11, 1, [IoElement(9666, 1, 1)])
        later = frames(bench, vehicle.imei, 12, 5)
        sink.handle([*messages, *poison, *later])
        (letter,) = bench.dead_letters(vehicle.imei)
        assert (letter["reason"], letter["message_offset"]) == (
            "refused_by_database",
            bench.first_offset + 11,
        )
        assert bytes(letter["message"]) == poison[0].value()  # type: ignore[arg-type]
        assert "22P02" in str(letter["detail"])
        assert len(bench.rows(vehicle.imei)) == 16
        assert bench.next_offset() == bench.first_offset + 17
        assert figure(figures, "records_total") == 16


class TestRegistry:
    def test_a_device_that_was_just_added_gets_its_vin_at_once(
        self, bench: Bench, register: Callable[..., Vehicle]
    ) -> None:
        sink, _ = bench.sink()
        imei = fresh_imei()
        sink.handle(frames(bench, imei, 0, 1))
        vehicle = register(imei)
        sink.handle(frames(bench, imei, 1, 1))
        assert [row["vin"] for row in bench.rows(imei)] == [None, vehicle.vin]

    def test_the_odometers_source_is_settled_with_the_first_batch_that_has_one(
        self, bench: Bench, vehicle: Vehicle
    ) -> None:
        sink, _ = bench.sink()
        sink.handle(frames(bench, vehicle.imei, 0, 1))
        sink.handle(frames(bench, vehicle.imei, 1, 1, [IoElement(16, 4, 1_609_344)]))
        sink.handle(frames(bench, vehicle.imei, 2, 1, [IoElement(87, 4, 9), IoElement(16, 4, 3_218_688)]))
        assert [(row["odometer"], row["odometer_source"]) for row in bench.rows(vehicle.imei)] == [
            (None, None),
            (1000.0, "gnss"),
            (2000.0, "gnss"),
        ]
        (installation,) = bench.query(
            "select odometer_source from device_installations where imei = %s", vehicle.imei
        )
        assert installation["odometer_source"] == "gnss"

    def test_a_source_that_someone_else_settled_is_followed(self, bench: Bench, vehicle: Vehicle) -> None:
        sink, _ = bench.sink()
        sink.handle(frames(bench, vehicle.imei, 0, 1))
        with psycopg.connect(bench.settings.timescale_dsn()) as connection:
            connection.execute(
                "update device_installations set odometer_source = 'can' where imei = %s", (vehicle.imei,)
            )
        sink.handle(frames(bench, vehicle.imei, 1, 1, [IoElement(16, 4, 1_609_344)]))
        assert [row["odometer"] for row in bench.rows(vehicle.imei)] == [None, None]


class TestOutage:
    def test_a_database_that_goes_away_and_comes_back_loses_nothing(
        self, bench: Bench, vehicle: Vehicle, relay: Relay
    ) -> None:
        sink, _ = bench.sink(settings=through(relay, bench.settings))
        sink.handle(frames(bench, vehicle.imei, 0, 2))
        relay.cut()
        for _ in range(2):
            with pytest.raises(UnavailableError):
                sink.handle(frames(bench, vehicle.imei, 2, 3))
        relay.heal()
        sink.handle(frames(bench, vehicle.imei, 2, 3))
        assert len(bench.rows(vehicle.imei)) == 5
        assert bench.next_offset() == bench.first_offset + 5

    def test_a_commit_whose_answer_is_lost_is_not_repeated(
        self, bench: Bench, vehicle: Vehicle, relay: Relay
    ) -> None:
        sink, figures = bench.sink(settings=through(relay, bench.settings))
        sink.handle(frames(bench, vehicle.imei, 0, 2))
        version = day_version(bench)
        relay.cut_behind(b"COMMIT")
        with pytest.raises(StoreUnavailableError):
            sink.handle(frames(bench, vehicle.imei, 2, 3))
        assert bench.next_offset() == bench.first_offset + 5, "the commit took effect"
        relay.heal()
        sink.handle(frames(bench, vehicle.imei, 2, 3))
        assert len(bench.rows(vehicle.imei)) == 5
        assert day_version(bench) == version + 1
        assert figure(figures, "duplicates_total") == 0

    def test_a_session_that_the_server_ends_is_replaced(self, bench: Bench, vehicle: Vehicle) -> None:
        sink, _ = bench.sink()
        sink.handle(frames(bench, vehicle.imei, 0, 1))
        bench.query(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'piston-sink'"
        )
        with pytest.raises(StoreUnavailableError):
            sink.handle(frames(bench, vehicle.imei, 1, 1))
        sink.handle(frames(bench, vehicle.imei, 1, 1))
        assert len(bench.rows(vehicle.imei)) == 2
