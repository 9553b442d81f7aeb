"""An AVL record and what is known about its device, as one row of the hypertable."""

from dataclasses import dataclass
from typing import Final

from xxhash import xxh64_intdigest

from ingest.codec8.records import AvlRecord
from ingest.measurement import ElementColumns, element_columns, measure, odometer_metres
from ingest.registry.timeline import Installation
from ingest.registry_cache import Registry
from ingest.sink.columns import postgres_microseconds
from ingest.sink.copy_binary import Row
from ingest.stream.messages import FrameMessage
from telematics import stream_position
from telematics.names import OdometerSource, Topic
from telematics.units import miles_from_metres

Identity = tuple[object, object, object, object]

_SIGN_BIT: Final = 1 << 63
_TWO_TO_64: Final = 1 << 64


@dataclass(frozen=True, slots=True)
class FrameContext:
    """What all rows of one frame share."""

    imei: str
    device_id: bytes
    columns: ElementColumns
    received_at: int
    """Microseconds since 2000."""
    first_position: int
    """Stream position of record 0."""


def frame_context(frame: FrameMessage, registry: Registry) -> FrameContext:
    """The shared part of a frame's rows."""
    return FrameContext(
        frame.imei,
        frame.imei.encode("ascii"),
        element_columns(registry.family(frame.imei)),
        postgres_microseconds(frame.received_at_ms),
        stream_position.pack(Topic(frame.topic), frame.partition, frame.offset, 0),
    )


def content_hash(body: bytes) -> int:
    """xxh64 (seed 0) of a record's bytes, as the signed 64-bit integer of the same bits."""
    digest: int = xxh64_intdigest(body)
    return digest - _TWO_TO_64 if digest & _SIGN_BIT else digest


def build_row(record: AvlRecord, index: int, context: FrameContext, installation: Installation | None) -> Row:
    """The row of record number `index` of a frame, all but `odometer` (see `stamp_odometer`).

    Args:
        record: with a time that `ingest.device_time` accepts.
        index: of the record in its frame.
        context: of the frame.
        installation: that holds at the record's time; without one the row has no VIN.
    """
    row: Row = {"time": postgres_microseconds(record.timestamp_ms), "device_id": context.device_id}
    if installation is not None:
        row["vin"] = installation.vin.encode("ascii")
    row |= measure(record, context.columns)
    row["received_at"] = context.received_at
    row["content_hash"] = content_hash(record.body)
    row["stream_position"] = context.first_position + index
    return row


def row_identity(row: Row) -> Identity:
    """What makes the row one and the same in every tier."""
    return row["device_id"], row["time"], row["event_id"], row["content_hash"]


def stamp_odometer(row: Row, source: OdometerSource) -> None:
    """Fill the blueprint's `odometer` (miles) from one source, if the record has it."""
    metres = odometer_metres(row, source)
    if metres is not None:
        row["odometer"] = miles_from_metres(metres)
        row["odometer_source"] = source.value
