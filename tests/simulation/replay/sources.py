"""A source of a test's own: some records, some blocks."""

from collections import Counter

import numpy as np

from ingest.registry.models import NewDevice
from simulation.device.encoding import encode_columns
from simulation.device.records import IDENTITY
from telematics.names import Origin
from tests.simulation.device.columns import io_column, make_columns

IMEI, VIN = "001020000100005", "0SM0000111A000001"


def make_identities(*times, event_id=0):
    return np.array([(time, event_id, time * 7) for time in times], IDENTITY)


class SmallSource:
    """Records a second apart; can end too early or fail on the way."""

    def __init__(self, count=40, block=15, name="Small_1", imei=IMEI, *, spoilt=0, failing_at=None):
        self.name = name
        self._imei = imei
        self._count = count
        self._block = block
        self._failing_at = failing_at
        self._columns = make_columns(count, [io_column(16, 4, np.arange(count) + spoilt)])

    @property
    def device(self):
        return NewDevice(self._imei, VIN, origin=Origin.SIMULATED)

    @property
    def pin(self):
        return {"imei": self._imei, "source": "small"}

    def count(self):
        return self._count

    def blocks(self, skip):
        everything = self._columns.tail(skip)
        for start in range(0, len(everything), self._block):
            if self._failing_at is not None and skip + start >= self._failing_at:
                message = "the recording ends in the middle"
                raise ValueError(message)
            part = everything.tail(start)
            yield encode_columns(_head(part, self._block))

    def left_out(self):
        return Counter({"OAT": 2})

    def identities(self):
        return encode_columns(self._columns).identities


def _head(columns, count):
    """The first records; there is only `tail` otherwise."""
    names = [name for name in columns.__dataclass_fields__ if name != "io"]
    io = [io_column(c.id, c.width, c.raw[:count], c.is_present[:count]) for c in columns.io]
    return type(columns)(**{name: getattr(columns, name)[:count] for name in names}, io=tuple(io))
