"""What the senders know: every packet that they sent, and which were acknowledged. Pure.

A record is acknowledged when any packet that held it was, and sent when any was written to the network.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from ingest.codec8.decoding import decode_avl
from ingest.sink.rows import content_hash

_NEWEST: Final = 1_000


class Identity(NamedTuple):
    """What makes a record one and the same in every store."""

    imei: str
    time_ms: int
    event_id: int
    content_hash: int


@dataclass(slots=True, eq=False)
class Parcel:
    """One packet on its way, from its first byte on the network to its acknowledgement."""

    imei: str
    data: bytes
    """The data field."""
    send_count: int = 0
    is_acknowledged: bool = False
    is_forgotten: bool = False

    def identities(self) -> Iterator[Identity]:
        """The records in it."""
        for record in decode_avl(self.data).records:
            yield Identity(self.imei, record.timestamp_ms, record.event_io_id, content_hash(record.body))


class Ledger:
    """All packets of all trackers."""

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []
        """Sent at least once, in order of the first time."""
        self.waiting: set[Parcel] = set()
        """Written, and their acknowledgement was not read, on a link that is not known to be dead."""
        self.newest: deque[Parcel] = deque(maxlen=_NEWEST)
        """The last that were acknowledged."""

    def send(self, parcel: Parcel) -> None:
        """The packet is written to the network now."""
        if not parcel.send_count:
            self.parcels.append(parcel)
        parcel.send_count += 1
        self.waiting.add(parcel)

    def acknowledge(self, parcel: Parcel) -> None:
        """Its acknowledgement was read."""
        self.waiting.discard(parcel)
        parcel.is_acknowledged = True
        self.newest.append(parcel)

    def lose(self, parcel: Parcel) -> None:
        """Its link broke, or nobody answered in time."""
        self.waiting.discard(parcel)

    def forget(self, parcel: Parcel) -> None:
        """Its sender will never send it again."""
        parcel.is_forgotten = True

    @property
    def resent_count(self) -> int:
        """How often a packet was written again."""
        return sum(parcel.send_count - 1 for parcel in self.parcels)

    @property
    def forgotten_count(self) -> int:
        """Packets that were never acknowledged and never will be."""
        return sum(parcel.is_forgotten for parcel in self.parcels)


def identities_of(parcels: Iterable[Parcel]) -> set[Identity]:
    """The records in packets."""
    return {identity for parcel in parcels for identity in parcel.identities()}
