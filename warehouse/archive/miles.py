"""The odometer in miles, which a file leaves out where its metres say it.

A device has one odometer. `odometer_source` names it, and its metres become miles by one division
(`ingest.sink.rows.stamp_odometer`). In files of the VED cars the miles cost 4.5 bytes a row, and say nothing
new.
"""

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from telematics.names import OdometerSource
from telematics.units import METRES_PER_MILE

_SOURCE: Final = "odometer_source"
_SERIES: Final = {source.value: f"odometer_{source.value}_m" for source in OdometerSource}


class Miles:
    """How a file says the odometer: `derived.Rule`."""

    name: Final = "odometer"
    words: Final = f"odometer_<odometer_source>_m/{METRES_PER_MILE}"
    """Of 64-bit numbers; null where the source is none of ours or its metres are null."""
    fields: Final[tuple[pa.Field, ...]] = ()
    """Nothing stands in its place."""
    inputs: Final = (_SOURCE, *_SERIES.values())

    def kept(self, values: pa.Array) -> tuple[pa.Array, ...]:
        """Nothing: the metres are there."""
        return ()

    def value(self, rows: pa.Table | pa.RecordBatch) -> pa.Array | pa.ChunkedArray:
        """The miles that the rows' metres stand for."""
        source = rows.column(_SOURCE).cast(pa.string())
        metres = pa.scalar(None, pa.int64())
        for name, series in _SERIES.items():
            is_this = pc.fill_null(pc.equal(source, name), False)
            metres = pc.if_else(is_this, rows.column(series).cast(pa.int64()), metres)
        # not safe: metres beyond 2^53 are rounded to the nearest number, as the sink's division does
        return pc.divide(pc.cast(metres, pa.float64(), safe=False), METRES_PER_MILE)

    def can_be_made(self, schema: pa.Schema) -> bool:
        """Whether a file has source and metres; one that others wrote anew may have lost them."""
        if not set(self.inputs) <= set(schema.names):
            return False
        source = schema.field(_SOURCE).type
        kind = source.value_type if pa.types.is_dictionary(source) else source
        is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        return is_text and all(
            pa.types.is_signed_integer(schema.field(name).type) for name in _SERIES.values()
        )
