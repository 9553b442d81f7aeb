"""What a batch of frames decodes to: one entry per AVL record, one per IO element, and one status per frame.

The arrays keep the wire's own integers, as `ingest.codec8.records` does. Offsets count from the start of the
buffer that holds all frames of the batch end to end.
"""

import sys
from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ingest.codec8.errors import Reason

Records = NDArray[np.void]
"""Entries of `RECORD`."""
Elements = NDArray[np.void]
"""Entries of `ELEMENT`."""
Column = NDArray[Any]

RECORD: Final = np.dtype(
    [
        ("timestamp_ms", np.uint64),
        ("body_start", np.int64),  # the record's bytes: body_start (included) to body_end (excluded)
        ("body_end", np.int64),
        ("element_start", np.int64),  # its entries in the array of elements
        ("element_end", np.int64),
        ("longitude_raw", np.int32),
        ("latitude_raw", np.int32),
        ("frame", np.int32),  # number of its frame in the batch
        ("index", np.int32),  # of the record in its frame
        ("altitude_m", np.int16),
        ("angle_deg", np.uint16),
        ("speed_kph", np.uint16),
        ("event_io_id", np.uint16),
        ("generation_type", np.int16),  # -1: the codec has none
        ("priority", np.uint8),
        ("satellites", np.uint8),
    ],
    align=True,
)
"""One AVL record; the fields are those of `ingest.codec8.records.AvlRecord`."""

_TAG: Final = [
    ("id", np.uint16),
    ("width", np.uint16),  # 1, 2, 4 or 8; 0: variable length
    ("length", np.uint32),  # bytes of a value of variable length, else 0
]
ELEMENT: Final = np.dtype(
    [
        ("raw", np.uint64),  # the unsigned integer, or where a value of variable length starts
        *(_TAG if sys.byteorder == "little" else _TAG[::-1]),
    ],
    align=True,
)
"""One IO element, as `ingest.codec8.records.IoElement`: sixteen bytes, which compiled code writes as two
64-bit words, `raw` and the tag below (stores of single fields cost it twice the time)."""
WIDTH_SHIFT: Final = 16
LENGTH_SHIFT: Final = 32
"""The tag: id | width << WIDTH_SHIFT | length << LENGTH_SHIFT."""


class Kind(IntEnum):
    """How a frame came in, which decides its envelope."""

    TCP = 0
    UDP = 1


class Status(IntEnum):
    """What became of a frame.

    From `TRUNCATED` to `TRAILING_BYTES` it was refused, for the `Reason` of that name.
    """

    DECODED = 0
    TRUNCATED = 1
    BAD_PREAMBLE = 2
    BAD_LENGTH = 3
    BAD_CRC = 4
    UNKNOWN_CODEC = 5
    COUNT_MISMATCH = 6
    IO_MISMATCH = 7
    TRAILING_BYTES = 8
    UNDECIDED = 9
    """Rare things, which the reference decoder judges: commands, and datagrams that are not faultless."""


REASONS: Final = {Status[reason.name]: reason for reason in Reason if reason is not Reason.BAD_IMEI}
"""Status → reason. A bad IMEI occurs in logins and datagrams only, and those go to the reference decoder."""
