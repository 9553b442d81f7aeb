"""Records in TimescaleDB as the sink leaves them there, without gateway and Kafka in between.

Frames are decoded and stored by the sink's own parts, in batches of its own size and in the order in which
they would have come in: a packet is sent when its last record is recorded and arrives a moment later. So
rows, their order in the heap, `hot_days` and the chosen odometers are what a day of traffic leaves behind.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import Final, NamedTuple

from confluent_kafka import Message

from ingest.registry.models import NewDevice
from ingest.registry.repository import connect, register_fleet
from ingest.registry.timeline import InstallationTimeline
from ingest.sink.batch_decoding import BatchFrameDecoder
from ingest.sink.store import TelemetryStore
from ingest.stream.messages import Transport, encode_headers
from simulation.device.packets import PacketBuilder
from simulation.device.records import RecordBlock
from telematics.names import OdometerSource, Topic
from telematics.settings import Settings

FRAMES_PER_BATCH: Final = 1000
"""`sink_batch_frames`."""
_EPOCH: Final = date(1970, 1, 1)
_PARTITIONS: Final = 12
_FIRST_DELAY_MS: Final = 200
_DELAYS_MS: Final = 1_500
"""A packet takes 0.2 to 1.7 s from its last record to the gateway."""


class Arrival(NamedTuple):
    """A frame and when it came in; sorts by time."""

    received_ms: int
    imei: str
    frame: bytes


def arrivals(imei: str, blocks: Iterable[RecordBlock]) -> Iterator[Arrival]:
    """A device's records in full packets, each sent with its last record."""
    for block in blocks:
        builder, times_ms, first = PacketBuilder(block), block.times_ms, 0
        while first < len(block):
            packet = builder.build(first, len(block))
            first += packet.count
            delay_ms = _FIRST_DELAY_MS + int.from_bytes(packet.frame[-4:]) % _DELAYS_MS
            yield Arrival(int(times_ms[first - 1]) + delay_ms, imei, packet.frame)


class HotTier:
    """Takes frames in; one at a time."""

    def __init__(self, settings: Settings, devices: Sequence[NewDevice]) -> None:
        """Register the devices and their vehicles.

        Raises:
            UnavailableError: the database does not answer.
            ConflictError: a device contradicts what is registered.
        """
        with connect(settings, "bench") as connection:
            register_fleet(connection, devices, "piston bench")
        self._decoder = BatchFrameDecoder()
        self._store = TelemetryStore(settings)
        self._partitions = {device.imei: place % _PARTITIONS for place, device in enumerate(devices)}
        self._registry: InstallationTimeline = self._store.load_timeline([*self._partitions])
        self._offsets: Counter[int] = Counter()
        self._sources: dict[int, OdometerSource] = {}
        self._days: set[int] = set()

    def days(self) -> tuple[date, date]:
        """The first day with a row, and the day after the last."""
        return _EPOCH + timedelta(days=min(self._days)), _EPOCH + timedelta(days=max(self._days) + 1)

    def close(self) -> None:
        """End the connection."""
        self._store.close()

    def take(self, frames: Sequence[Arrival]) -> int:
        """Store frames in the order of their arrival; returns the rows that they became.

        Raises:
            RuntimeError: a record did not become a row.
        """
        rows = 0
        ordered = sorted(frames)
        for first in range(0, len(ordered), FRAMES_PER_BATCH):
            messages = [self._message(arrival) for arrival in ordered[first : first + FRAMES_PER_BATCH]]
            batch = self._decoder.decode(messages, self._registry, self._sources)
            if batch.rejects or batch.duplicate_count:
                message = f"{len(batch.rejects)} frames refused, {batch.duplicate_count} records doubled"
                raise RuntimeError(message)
            self._sources |= batch.chosen_sources
            with self._store.transaction() as transaction:
                transaction.choose_odometers(batch.chosen_sources)
                stored = transaction.insert(batch)
                transaction.touch_days(stored)
            rows += stored.total()
            self._days |= {*stored}
        return rows

    def _message(self, arrival: Arrival) -> Message:
        partition = self._partitions[arrival.imei]
        offset = self._offsets[partition]
        self._offsets[partition] += 1
        return Message(
            topic=Topic.AVL_FRAMES.value,
            partition=partition,
            offset=offset,
            key=arrival.imei.encode("ascii"),
            value=arrival.frame,
            headers=encode_headers(arrival.received_ms, Transport.TCP),
        )
