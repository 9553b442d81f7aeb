"""What a batch of messages comes to, and the reference that says so.

Two readers behind one interface: `ReferenceReader`, plain Python, which says what is right; and
`ingest.live.compiled_reader.CompiledReader`, which says the same at the machine's speed.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from ingest.alerts import memory as memories
from ingest.alerts.alert import Alert
from ingest.alerts.memory import Encoded, Memory, MemoryCache, ObservedFrame, Settled, Subject, settle
from ingest.codec8.errors import DecodeError
from ingest.frame_packet import NotTelemetryError, unpack_avl
from ingest.live.offsets import Incarnations
from ingest.live.state import NewestState, Offer
from ingest.measurement import FIRST_TIME_MS
from ingest.registry_cache import Registry
from ingest.stream.messages import MalformedMessageError, RawMessage, decode_frame
from ingest.stream.readings import ReadingMessage, decode_reading
from telematics.names import Origin, Topic

READINGS: Final = Topic.READINGS.value

Recall = Callable[[Collection[Subject]], Mapping[Subject, Memory]]
"""Reads memories from Redis; those that are not known are empty."""
ReadOrigins = Callable[[Collection[str]], Mapping[str, Origin]]
"""VINs → origins of those that are registered."""


@dataclass(slots=True)
class Digest:
    """What a batch comes to.

    Attributes:
        offers: VIN → its newest signals.
        memories: what the alert rules know now, where that moved.
        alerts: in stream order.
        undecodable: messages passed over.
        record_count: records looked at.
        ignored_count: records of no vehicle, or of an impossible time.
        repeated_count: frames that were in the alert state already, once for each vehicle.
        received_at_ms: when each decoded message came in.
    """

    offers: dict[str, Offer] = field(default_factory=dict)
    memories: dict[Subject, Encoded] = field(default_factory=dict)
    alerts: list[Alert] = field(default_factory=list)
    undecodable: int = 0
    record_count: int = 0
    ignored_count: int = 0
    repeated_count: int = 0
    received_at_ms: Sequence[int] = ()


class BatchReader(Protocol):
    """Works batches out from what is remembered. Not thread-safe."""

    def read(self, messages: Sequence[RawMessage], registry: Registry, incarnations: Incarnations) -> Digest:
        """What messages come to, in stream order; remembers nothing yet.

        Args:
            messages: of one batch.
            registry: what holds for their devices.
            incarnations: of the partitions.

        Raises:
            UnavailableError: Redis is down, or the registry is.
        """

    def settled(self) -> None:
        """The last digest's memories are in Redis now."""

    def forget(self) -> None:
        """Read memories anew: partitions changed hands, or Redis lost its last writes."""


class ReferenceReader:
    """A `BatchReader` in plain Python."""

    def __init__(self, recall: Recall, read_origins: ReadOrigins, earliest_ms: int = FIRST_TIME_MS) -> None:
        self._earliest_ms = earliest_ms
        self._memories = MemoryCache(recall)
        self._read_origins = read_origins
        self._moved: dict[Subject, Memory] = {}

    def read(self, messages: Sequence[RawMessage], registry: Registry, incarnations: Incarnations) -> Digest:
        """See `BatchReader`."""
        digest, state = Digest(), NewestState(self._earliest_ms)
        readings = {
            number: reading
            for number, message in enumerate(messages)
            if message.topic() == READINGS and (reading := maybe_reading(message)) is not None
        }
        origins = origins_of(readings.values(), self._read_origins)
        observed: list[ObservedFrame] = []
        received_at_ms: list[int] = []
        for number, message in enumerate(messages):
            if number in readings:
                reading = readings[number]
                received_at_ms.append(reading.received_at_ms)
                observed += observe_reading(state, reading, registry, origins)
                continue
            frame = None if message.topic() == READINGS else observe_frame(state, message, registry)
            if frame is None:
                digest.undecodable += 1
                continue
            received_at_ms.append(frame.frame.received_at_ms)
            if frame.seen:
                observed.append(frame)
        subjects = set[Subject]().union(*(frame.subjects() for frame in observed))
        settled = settle(observed, self._memories.get(subjects), incarnations)
        self._moved = settled.memories
        digest.offers = state.offers()
        digest.memories = encode_all(settled)
        digest.alerts, digest.repeated_count = settled.alerts, settled.repeated_count
        digest.record_count, digest.ignored_count = state.record_count, state.ignored_count
        digest.received_at_ms = received_at_ms
        return digest

    def settled(self) -> None:
        """See `BatchReader`."""
        self._memories.put(self._moved)
        self._moved = {}

    def forget(self) -> None:
        """See `BatchReader`."""
        self._memories.forget()


def maybe_reading(message: RawMessage) -> ReadingMessage | None:
    """The reading of a message; None if there is none."""
    try:
        return decode_reading(message)
    except MalformedMessageError:
        return None


def origins_of(readings: Collection[ReadingMessage], read_origins: ReadOrigins) -> Mapping[str, Origin]:
    """Origins of the vehicles that partners posted for."""
    vins = {reading.reading.vin for reading in readings if reading.imei is None}
    return read_origins(vins) if vins else {}


def observe_frame(state: NewestState, message: RawMessage, registry: Registry) -> ObservedFrame | None:
    """Take a frame into a state; None if it does not decode."""
    try:
        frame = decode_frame(message)
        packet = unpack_avl(frame)
    except (MalformedMessageError, NotTelemetryError, DecodeError):
        return None
    seen = state.observe(frame, packet, registry)
    return ObservedFrame(frame, registry.family(frame.imei), seen)


def observe_reading(
    state: NewestState, reading: ReadingMessage, registry: Registry, origins: Mapping[str, Origin]
) -> list[ObservedFrame]:
    """Take a reading into a state; empty if it does not count."""
    seen = state.observe_reading(reading, registry, origins)
    return [] if seen is None else [ObservedFrame(reading, None, (seen,))]


def encode_all(settled: Settled) -> dict[Subject, Encoded]:
    """The memories that moved as Redis keeps them."""
    return {subject: memories.encode(memory) for subject, memory in settled.memories.items()}
