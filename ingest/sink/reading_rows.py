"""The posted readings of a batch as rows of the hypertable; both frame decoders use it.

Readings are few beside frames, so plain Python walks them. Their rows follow those of the frames in the COPY.
Frames choose an installation's odometer first; readings choose where none of them had one.
"""

from collections import Counter
from collections.abc import Mapping
from struct import Struct, pack
from typing import Final

from ingest.device_time import ANY_STORABLE, DeviceTimes
from ingest.measurement import ODOMETER_COLUMNS, odometer_metres
from ingest.reading_measurement import measure_reading
from ingest.registry.timeline import Installation
from ingest.registry_cache import Registry
from ingest.sink.columns import COLUMNS, FIXED_COLUMNS, postgres_microseconds
from ingest.sink.copy_binary import Row, encode_variable
from ingest.sink.received import ReceivedSpan, widened
from ingest.sink.rows import Identity, row_identity, stamp_odometer
from ingest.stream.messages import MalformedMessageError, RawMessage
from ingest.stream.readings import ReadingMessage, decode_reading
from telematics import stream_position
from telematics.names import OdometerSource, Topic

_DAY_MS: Final = 86_400_000
_NULL: Final = b"\xff\xff\xff\xff"
_FIELD_COUNT: Final = pack(">h", len(COLUMNS))
_LENGTH: Final = Struct(">i").pack
_PACKED: Final = tuple((column.name, Struct(f">{column.code}")) for column in FIXED_COLUMNS)


def build_reading_row(message: ReadingMessage, installation: Installation | None) -> Row:
    """The row of a reading, all but a device's `odometer` (see `stamp_odometer`).

    Args:
        message: one reading.
        installation: of its device at its time; a partner's reading has none, and its own vehicle instead.
    """
    reading = message.reading
    row: Row = {
        "time": postgres_microseconds(reading.time_ms),
        "device_id": message.device_id.encode("ascii"),
    }
    if message.imei is None:
        row["vin"] = reading.vin.encode("ascii")
    elif installation is not None:
        row["vin"] = installation.vin.encode("ascii")
    row |= measure_reading(message)
    row["received_at"] = postgres_microseconds(message.received_at_ms)
    row["content_hash"] = message.content_hash
    row["stream_position"] = stream_position.pack(Topic(message.topic), message.partition, message.offset, 0)
    return row


def encode_reading_row(row: Row) -> bytes:
    """One tuple of a COPY BINARY stream; unlike a frame's, its `device_id` has any length."""
    parts = [_FIELD_COUNT]
    for name, packed in _PACKED:
        value = row.get(name)
        if value is None:
            parts.append(_NULL)
        elif isinstance(value, bytes):
            parts += (_LENGTH(len(value)), value)
        else:
            parts += (_LENGTH(packed.size), packed.pack(value))
    return b"".join((*parts, encode_variable(row)))


class ReadingRows:
    """Rows under construction, each identity once."""

    def __init__(self, registry: Registry, times: DeviceTimes = ANY_STORABLE) -> None:
        """No rows yet; a reading outside `times` is refused."""
        self._times = times
        self._registry = registry
        self._rows: dict[Identity, Row] = {}
        self._installed: list[tuple[Row, Installation]] = []
        self.reading_count = 0
        self.received_ms: ReceivedSpan | None = None
        self.rows_by_day: Counter[int] = Counter()

    @property
    def row_count(self) -> int:
        """Rows so far."""
        return len(self._rows)

    @property
    def duplicate_count(self) -> int:
        """Readings whose identity came earlier in the same batch."""
        return self.reading_count - len(self._rows)

    def take(self, message: RawMessage) -> None:
        """Take in one message of the readings topic.

        Raises:
            MalformedMessageError: it holds no reading, or one whose time does not count.
        """
        read = decode_reading(message)
        time_ms = read.reading.time_ms
        if not self._times.accept(time_ms, read.received_at_ms):
            reason = "time_out_of_range"
            raise MalformedMessageError(reason, f"the reading lies {self._times.words()}")
        installation = None if read.imei is None else self._registry.at(read.imei, time_ms)
        row = build_reading_row(read, installation)
        self.reading_count += 1
        self.received_ms = widened(self.received_ms, ReceivedSpan.of(read.received_at_ms))
        identity = row_identity(row)
        if identity in self._rows:
            return
        self._rows[identity] = row
        self.rows_by_day[time_ms // _DAY_MS] += 1
        if installation is not None:
            self._installed.append((row, installation))

    def stamp_odometers(self, sources: Mapping[int, OdometerSource]) -> dict[int, OdometerSource]:
        """Fill `odometer`; returns the sources of installations that had none yet and sent one here.

        Args:
            sources: chosen after the registry was read, by the batch's frames too.
        """
        sent: dict[int, set[OdometerSource]] = {}
        for row, installation in self._installed:
            if installation.odometer_source is None and installation.installation_id not in sources:
                found = sent.setdefault(installation.installation_id, set())
                found |= {source for source in ODOMETER_COLUMNS if odometer_metres(row, source) is not None}
        chosen = {
            number: next(source for source in ODOMETER_COLUMNS if source in found)
            for number, found in sent.items()
            if found
        }
        for row, installation in self._installed:
            number = installation.installation_id
            source = installation.odometer_source or sources.get(number) or chosen.get(number)
            if source is not None:
                stamp_odometer(row, source)
        return chosen

    def encode(self) -> bytes:
        """The rows as tuples of a COPY BINARY stream, without its signature and trailer."""
        return b"".join(map(encode_reading_row, self._rows.values()))
