"""Many AVL records of one device, encoded, with the identities under which the stores will know them."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Identities = npt.NDArray[np.void]

IDENTITY: Final = np.dtype([("time_ms", "<i8"), ("event_id", "<i4"), ("content_hash", "<i8")])
"""What makes a record of one device the same record again (row identity without the device): milliseconds
since the epoch; AVL event id; xxh64 of the record's bytes as a signed integer. 20 bytes, little-endian,
which is also how the ledger keeps it."""


@dataclass(frozen=True, slots=True)
class RecordBlock:
    """Consecutive records in sending order.

    Attributes:
        bodies: the records' wire bytes, one behind the other.
        starts: where each record begins in `bodies`; one more entry than records, the last is the end.
        identities: one `IDENTITY` per record.
    """

    bodies: bytes
    starts: Ints
    identities: Identities

    def __len__(self) -> int:
        return len(self.identities)

    @property
    def times_ms(self) -> Ints:
        """Device time of each record, milliseconds since the epoch."""
        times: Ints = self.identities["time_ms"]
        return times
