"""Sending frames out of quarantine on their way, and dropping them.

Frames of one device are settled in parts of up to `_PART` frames, in the order in which they came. Order of a
part, which is the promise:

1. the device's place is taken: locked, and still where it was read;
2. each frame is sent where the gateway would have sent it, with its own time of receipt, until Kafka has
   confirmed all of them;
3. the place behind them and the audit event are written, and the transaction commits.

Dying before 3 leaves the part unsettled, and the next replay sends it again. The sink leaves out records that
it has by their identity (device, time, event, content), so they land exactly once. By way of the topic, and
not straight into the table, because live state, alerts and cursors have to see them, too.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple, Protocol

from ingest.quarantine import repository
from ingest.quarantine.routing import Content, route
from ingest.quarantine.topic import FrameSource, Span
from ingest.registry.repository import Connection, read_device, write_audit
from ingest.stream.messages import FrameMessage
from ingest.stream.publisher import Outgoing
from telematics.errors import ConflictError, NotFoundError

_PART: Final = 500
"""Frames of at most 64 KiB each: 32 MiB in hand at worst."""


class Publisher(Protocol):
    """What a replay needs of Kafka."""

    def publish(self, messages: Sequence[Outgoing]) -> None:
        """Make messages durable, in their order per key.

        Raises:
            UnavailableError: not all of them are known to be.
        """


@dataclass(slots=True)
class Waiting:
    """What waits of one device."""

    frame_count: int
    byte_count: int
    first_received_at_ms: int
    """Milliseconds since the epoch, our clock."""
    last_received_at_ms: int


class Settled(NamedTuple):
    """What a command did, counted."""

    frame_count: int
    record_count: int
    message_count: int
    """Messages of codecs 12 to 15."""
    ping_count: int
    unreadable_count: int
    """Frames that the sink parks as dead letters."""


def list_waiting(connection: Connection, source: FrameSource) -> dict[str, Waiting]:
    """Every device of which frames wait, by IMEI. Reads the whole topic.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    settled = repository.read_settled(connection, source.incarnation)
    found: dict[str, Waiting] = {}
    for partition, span in source.spans().items():
        for frame in source.read(partition, span):
            if frame.offset < settled.get(frame.imei, {}).get(partition, 0):
                continue
            size, received_at_ms = len(frame.frame), frame.received_at_ms
            waiting = found.get(frame.imei)
            if waiting is None:
                found[frame.imei] = Waiting(1, size, received_at_ms, received_at_ms)
                continue
            waiting.frame_count += 1
            waiting.byte_count += size
            waiting.first_received_at_ms = min(waiting.first_received_at_ms, received_at_ms)
            waiting.last_received_at_ms = max(waiting.last_received_at_ms, received_at_ms)
    return dict(sorted(found.items()))


def waiting_frames(connection: Connection, source: FrameSource, imei: str) -> Iterator[FrameMessage]:
    """The frames of one device that wait, in order.

    Raises:
        UnavailableError: Kafka does not answer.
    """
    settled = repository.read_settled(connection, source.incarnation).get(imei, {})
    for partition, span in source.spans().items():
        rest = Span(max(span.first, settled.get(partition, 0)), span.until)
        yield from (frame for frame in source.read(partition, rest) if frame.imei == imei)


def replay(
    connection: Connection, source: FrameSource, publisher: Publisher, imei: str, actor: str
) -> Settled:
    """Send on what waits of a device.

    Args:
        connection: outside a transaction.
        source: the quarantine.
        publisher: takes frames to Kafka.
        imei: of a registered device.
        actor: for the audit.

    Raises:
        NotFoundError: the device is not registered.
        ConflictError: it is retired, or somebody else settles its frames.
        UnavailableError: Kafka or TimescaleDB did not confirm; what was not, waits still.
    """
    device = read_device(connection, imei)
    if device is None:
        message = "no such device; register it with `piston device add IMEI --vin VIN`, then replay"
        raise NotFoundError(message)
    if device.status == "retired":
        message = "the device is retired; `piston device add` brings it back"
        raise ConflictError(message)

    def send(frames: Sequence[FrameMessage]) -> Settled:
        routed = [route(frame) for frame in frames]
        publisher.publish([item.outgoing for item in routed if item.outgoing is not None])
        kinds = Counter(item.content for item in routed)
        return Settled(
            frame_count=len(frames),
            record_count=sum(item.record_count for item in routed),
            message_count=kinds[Content.MESSAGE],
            ping_count=kinds[Content.PING],
            unreadable_count=kinds[Content.UNREADABLE],
        )

    return _settle(connection, source, imei, send, actor, "quarantine.replay", {})


def drop(connection: Connection, source: FrameSource, imei: str, because: str, actor: str) -> int:
    """Set aside for good what waits of a device; the topic keeps it to its time. Returns how many frames.

    Raises:
        ConflictError: somebody else settles its frames.
        UnavailableError: Kafka or TimescaleDB does not answer.
    """
    settled = _settle(
        connection,
        source,
        imei,
        lambda frames: Settled(len(frames), 0, 0, 0, 0),
        actor,
        "quarantine.drop",
        {"because": because},
    )
    return settled.frame_count


def _settle(
    connection: Connection,
    source: FrameSource,
    imei: str,
    act: Callable[[Sequence[FrameMessage]], Settled],
    actor: str,
    action: str,
    detail: dict[str, object],
) -> Settled:
    """Settle what waits of a device part by part, each in a transaction of its own."""
    known = repository.read_settled(connection, source.incarnation).get(imei, {})
    totals = Settled(0, 0, 0, 0, 0)
    for partition, span in source.spans().items():
        place = known.get(partition)
        rest = Span(max(span.first, place or 0), span.until)
        frames = (frame for frame in source.read(partition, rest) if frame.imei == imei)
        while part := list(islice(frames, _PART)):
            with connection.transaction():
                repository.take(connection, imei, source.incarnation, partition, place)
                done = act(part)
                place = part[-1].offset + 1
                repository.settle(connection, imei, partition, place)
                where: dict[str, object] = {
                    "partition": partition,
                    "first_offset": part[0].offset,
                    "frames": len(part),
                    "records": done.record_count,
                }
                write_audit(connection, actor, action, [(imei, {**where, **detail})])
            totals = Settled(*(before + more for before, more in zip(totals, done, strict=True)))
    return totals
