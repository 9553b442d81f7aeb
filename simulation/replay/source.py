"""What a replay sends for one device, wherever it comes from."""

from collections import Counter
from collections.abc import Generator, Mapping
from typing import Protocol

from ingest.registry.models import NewDevice
from simulation.device.records import RecordBlock


class RecordSource(Protocol):
    """One device's records, always the same ones in the same order."""

    @property
    def name(self) -> str:
        """Names the source in messages and its ledger's file; never an IMEI or VIN."""

    @property
    def device(self) -> NewDevice:
        """The device that sends, and its vehicle."""

    @property
    def pin(self) -> Mapping[str, str | int]:
        """Everything that decides which bytes come out: a ledger goes on only under the same pin."""

    def count(self) -> int:
        """Records in all."""

    def blocks(self, skip: int) -> Generator[RecordBlock, None, None]:
        """The records behind the first `skip`, in order, in blocks that are small enough for memory."""

    def left_out(self) -> Counter[str]:
        """What could not be sent so far, by field."""
