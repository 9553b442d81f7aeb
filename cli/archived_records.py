"""What the archive holds of replayed devices, as `simulation.replay` asks a tier for it."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from simulation.device.records import IDENTITY, Identities
from telematics.settings import Settings
from warehouse.archive.identities import identities
from warehouse.progress import Progress


class ArchivedRecords:
    """The days that left ClickHouse; read once, when the first device is asked for."""

    def __init__(self, settings: Settings, imeis: Sequence[str], progress: Progress) -> None:
        self._settings = settings
        self._imeis = imeis
        self._progress = progress

    @cached_property
    def _rows(self) -> pa.Table:
        return identities(self._settings, self._imeis, progress=self._progress).combine_chunks()

    def identities(self, imei: str) -> Identities:
        """Of the device's archived records, in no order.

        Raises:
            DamagedError, OfflineError, StorageError: the archive cannot be read.
        """
        rows = self._rows.filter(pc.equal(self._rows.column("device_id"), imei))
        found = np.empty(rows.num_rows, IDENTITY)
        found["time_ms"] = rows.column("time").cast(pa.int64()).to_numpy()
        found["event_id"] = rows.column("event_id").to_numpy()
        found["content_hash"] = rows.column("content_hash").to_numpy()
        return found
