"""A file's columns into rows of `telemetry`: mapped, converted, judged and hashed, whole columns at a time.

A row is set aside for the first reason that holds for it. What a column says counts as it is in our units;
whole-number columns take the nearest whole number.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from ingest.device_time import END_TIME_MS, DeviceTimes
from telematics.units import METRES_PER_MILE
from warehouse.archive import layout
from warehouse.backfill.telemetry import fields, values
from warehouse.backfill.telemetry.fields import FIELDS, ODOMETER_SERIES, Field, Kind, Linear
from warehouse.backfill.telemetry.identity import Image, content_hashes, number_image, text_image
from warehouse.backfill.telemetry.mapping import FileMapping
from warehouse.backfill.telemetry.rejects import CODES, Reason
from warehouse.backfill.telemetry.times import moments
from warehouse.backfill.telemetry.values import Column, Mask
from warehouse.backfill.telemetry.vehicles import Vehicles, name_vehicles

_MOMENT: Final = pa.timestamp("ms", "UTC")
_BOUNDS: Final = {pa.int16(): (-(2**15), 2**15 - 1), pa.int32(): (-(2**31), 2**31 - 1)}
_PARTNER: Final = "partner"
"""An odometer of which nobody says what counts it is somebody's word, as a partner's is."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a load's rows are judged by."""

    times: DeviceTimes
    received_at_ms: int


class Judged:
    """Rows as they go into ClickHouse, and why some do not."""

    def __init__(self, row_count: int) -> None:
        self.codes: npt.NDArray[np.int8] = np.zeros(row_count, np.int8)
        self.columns: list[str] = [""]
        self.column: npt.NDArray[np.int16] = np.zeros(row_count, np.int16)
        self.table = pa.table({})
        self.left_out: Counter[str] = Counter()
        """Values out of range that are nothing now, by column."""

    def mark(self, reason: Reason, rows: Mask, column: str = "") -> None:
        """Set rows aside, unless they are already."""
        rows = rows & (self.codes == 0)
        if rows.any():
            if column not in self.columns:
                self.columns.append(column)
            self.codes[rows] = CODES[reason]
            self.column[rows] = self.columns.index(column)

    def good(self) -> pa.Table:
        """The rows that pass."""
        return self.table.filter(pa.array(self.codes == 0)) if self.codes.any() else self.table


def judge(
    table: pa.Table, mapping: FileMapping, vehicles: Vehicles, limits: Limits, unknown: Sequence[str] = ()
) -> Judged:
    """Convert and judge some rows of a file.

    Args:
        table: columns under the file's names; those that it lacks are not in it.
        mapping: what they are.
        vehicles: the registry.
        limits: which times count, and when the load began.
        unknown: columns of the table that go into `raw_data`.
    """
    return _Judging(table, mapping, limits).run(vehicles, unknown)


class _Judging:
    def __init__(self, table: pa.Table, mapping: FileMapping, limits: Limits) -> None:
        self.source = {name: values.plain(table.column(name)) for name in table.column_names}
        self.mapping = mapping
        self.limits = limits
        self.count = len(table)
        self.judged = Judged(self.count)
        self.arrays: dict[str, pa.Array] = {}
        self.images: dict[str, Image] = {}
        self.none = np.zeros(self.count, np.bool_)

    def run(self, vehicles: Vehicles, unknown: Sequence[str]) -> Judged:
        self.times()
        self.vehicles(vehicles)
        given = self.whole(self.mapping.content_hash)
        position = self.whole(self.mapping.stream_position)
        # rows that bring their hash were judged when they came in first
        is_new = ~given.is_there
        for value in self.mapping.values:
            if value.column in self.source:
                self.value(FIELDS[value.target], value.column, value.unit, is_new)
        for target, constant in self.mapping.constants:
            self.constant(FIELDS[target], constant)
        self.derived(is_new)
        if unknown and "raw_data" not in self.arrays:
            self.text("raw_data", self.raw_data(unknown), self.none, Reason.BAD_JSON, "")
        self.images.pop("event_id", None)
        hashes = np.where(is_new, content_hashes(self.images), given.values)
        self.arrays[fields.CONTENT_HASH] = pa.array(hashes, pa.int64())
        places = np.where(position.is_there, position.values, fields.NO_STREAM_POSITION)
        self.arrays[fields.STREAM_POSITION] = pa.array(places, pa.int64())
        self.judged.table = self.rows()
        return self.judged

    def whole(self, name: str | None) -> Column:
        if name is None or name not in self.source:
            return Column(np.zeros(self.count, np.int64), self.none, self.none)
        found = values.whole_numbers(self.source[name], self.mapping.nulls)
        self.judged.mark(Reason.NOT_A_NUMBER, found.is_bad, name)
        return found

    def times(self) -> None:
        column, limits = self.mapping.time, self.limits
        ms, is_there, left_out = moments(self.source, column, self.mapping.nulls)
        self.judged.mark(Reason.NO_SUCH_LOCAL_TIME, left_out, column.column)
        self.judged.mark(Reason.NO_TIME, ~is_there, column.column)
        received = np.full(self.count, limits.received_at_ms, np.int64)
        given = self.mapping.received_at
        if given is not None and given.column in self.source:
            said, is_said, _ = moments(self.source, given, self.mapping.nulls)
            self.judged.mark(Reason.TOO_LATE, is_said & ((said >= END_TIME_MS) | (said < 0)), given.column)
            received = np.where(is_said, said, received)
        self.judged.mark(Reason.TOO_EARLY, ms < limits.times.earliest_ms, column.column)
        too_late = (ms >= END_TIME_MS) | (ms > limits.received_at_ms + limits.times.ahead_ms)
        self.judged.mark(Reason.TOO_LATE, too_late, column.column)
        self.arrays[fields.TIME] = pa.array(ms, pa.int64()).cast(_MOMENT)
        self.arrays[fields.RECEIVED_AT] = pa.array(received, pa.int64()).cast(_MOMENT)

    def vehicles(self, vehicles: Vehicles) -> None:
        device_id, _ = self.maybe_text(self.mapping.device_id)
        vin, is_bad = self.maybe_text(self.mapping.vin)
        self.judged.mark(Reason.NOT_UTF8, is_bad, self.mapping.vin or "")
        named = name_vehicles(vehicles, device_id, vin, self.mapping.vins, self.mapping.source)
        for reason, rows in named.faults:
            self.judged.mark(reason, rows)
        self.arrays[fields.DEVICE_ID], self.arrays[fields.VIN] = named.device_id, named.vin
        # a device is a part of a row's identity by itself
        self.images[fields.VIN] = text_image(pc.if_else(pc.equal(named.vin, ""), None, named.vin))

    def maybe_text(self, name: str | None) -> tuple[pa.Array, Mask]:
        if name is None or name not in self.source:
            return pa.nulls(self.count, pa.string()), self.none
        return values.texts(self.source[name], self.mapping.nulls)

    def value(self, field: Field, name: str, unit: Linear, is_new: Mask) -> None:
        """One column of the file."""
        array, nulls = self.source[name], self.mapping.nulls
        if field.kind is Kind.FLAG:
            found = values.flags(array, nulls)
            self.judged.mark(Reason.NOT_A_FLAG, found.is_bad, name)
            self.number(field, found)
        elif field.kind is Kind.CODES:
            codes, bad = values.trouble_codes(array, nulls)
            known = self.mapping.dtc_known
            if known is not None and known in self.source:
                is_known = values.flags(self.source[known], nulls)
                codes = pc.if_else(pa.array(is_known.values.astype(np.bool_)), codes, None)
            self.text(field.name, codes, bad, Reason.BAD_CODES, name)
        elif field.kind is Kind.SOURCE:
            names, bad = values.one_of(array, fields.ODOMETER_SOURCES, nulls)
            self.text(field.name, names, bad, Reason.BAD_SOURCE, name)
        elif field.kind is Kind.JSON:
            objects, bad = values.json_objects(array, nulls)
            self.text(field.name, objects, bad, Reason.BAD_JSON, name)
        else:
            self.measured(field, name, unit, is_new)

    def measured(self, field: Field, name: str, unit: Linear, is_new: Mask) -> None:
        array, nulls = self.source[name], self.mapping.nulls
        if unit == fields.AS_IT_IS:
            is_whole = field.kind is Kind.WHOLE
            found = values.whole_numbers(array, nulls) if is_whole else values.numbers(array, nulls)
        else:
            found = values.numbers(array, nulls)
            found = found._replace(values=found.values * unit.factor + unit.offset)
            found = values.rounded(found) if field.kind is Kind.WHOLE else found
        self.judged.mark(Reason.NOT_A_NUMBER, found.is_bad, name)
        number: npt.NDArray[Any] = found.values
        lowest, highest = _BOUNDS.get(field.arrow_type, (-np.inf, np.inf))
        outside = (number < lowest) | (number > highest)
        outside |= is_new & ((number < field.lowest) | (number > field.highest))
        if field.arrow_type == pa.float32():
            with np.errstate(over="ignore"):
                number = np.where(found.is_there, number, 0).astype(np.float32)
            outside |= ~np.isfinite(number)
        outside &= found.is_there
        is_there = found.is_there
        if self.mapping.leaves_out and outside.any():
            self.judged.left_out[name] += int(outside.sum())
            is_there = is_there & ~outside
        else:
            self.judged.mark(Reason.OUT_OF_RANGE, outside, name)
        self.number(field, Column(np.where(outside, 0, number), is_there, found.is_bad))

    def number(self, field: Field, found: Column) -> None:
        kind = field.arrow_type.to_pandas_dtype()
        number = np.where(found.is_there, found.values, 0).astype(kind)
        self.arrays[field.name] = pa.array(number, field.arrow_type, mask=~found.is_there)
        self.images[field.name] = number_image(number, found.is_there)

    def text(self, name: str, array: pa.Array, bad: Mask, reason: Reason, column: str) -> None:
        self.judged.mark(reason, bad, column)
        self.arrays[name] = array
        self.images[name] = text_image(array)

    def constant(self, field: Field, value: Any) -> None:
        if field.kind is Kind.SOURCE:
            self.text(
                field.name, pa.array([value] * self.count, pa.string()), self.none, Reason.BAD_SOURCE, ""
            )
        else:
            self.number(field, Column(np.full(self.count, value), ~self.none, self.none))

    def derived(self, is_new: Mask) -> None:
        """What a device's own record would have had: validity, and one odometer in miles with its source."""
        if "lat" in self.arrays or "lng" in self.arrays:
            has = {
                name: values.there(self.arrays[name]) if name in self.arrays else self.none
                for name in ("lat", "lng")
            }
            self.judged.mark(Reason.HALF_POSITION, is_new & (has["lat"] != has["lng"]))
            if "is_valid" not in self.arrays:
                self.number(FIELDS["is_valid"], Column(has["lat"], has["lat"], self.none))
        if self.mapping.content_hash is not None:
            return
        if "odometer" not in self.arrays:
            for name, source in ODOMETER_SERIES:
                if name in self.arrays:
                    metres = self.arrays[name]
                    has_one = values.there(metres)
                    miles = metres.fill_null(0).to_numpy(zero_copy_only=False) / METRES_PER_MILE
                    self.number(FIELDS["odometer"], Column(miles, has_one, self.none))
                    self.odometer_source(source, has_one)
                    return
        elif "odometer_source" not in self.arrays:
            self.odometer_source(_PARTNER, values.there(self.arrays["odometer"]))

    def odometer_source(self, source: str, rows: Mask) -> None:
        named = pc.if_else(pa.array(rows), pa.scalar(source), pa.scalar(None, pa.string()))
        self.text("odometer_source", named, self.none, Reason.BAD_SOURCE, "")

    def raw_data(self, unknown: Sequence[str]) -> pa.Array:
        """Columns without a place, as one JSON object a row."""
        found = {name: values.texts(self.source[name], self.mapping.nulls)[0] for name in unknown}
        rows = pa.table(found).to_pylist()
        texts = [
            orjson.dumps({name: text for name, text in row.items() if text is not None}).decode()
            for row in rows
        ]
        # PostgreSQL's jsonb holds no NUL
        return pa.array([text.replace("\\u0000", "\\ufffd") if text != "{}" else None for text in texts])

    def rows(self) -> pa.Table:
        """The columns of `analytics.telemetry`, but for `origin`, as Arrow has them for an insert."""
        made = []
        schema = pa.schema([field for field in layout.schema() if field.name != fields.ORIGIN])
        codes = self.arrays.pop("dtc_codes", pa.nulls(self.count, pa.string()))
        self.arrays[fields.DTC_KNOWN] = codes.is_valid()
        self.arrays["dtc_codes"] = _lists(codes)
        self.arrays["raw_data"] = self.arrays.get("raw_data", pa.nulls(self.count, pa.string())).fill_null("")
        event_id = self.arrays.get("event_id", pa.nulls(self.count, pa.int32()))
        self.arrays["event_id"] = event_id.fill_null(0)
        for field in schema:
            array = self.arrays.get(field.name)
            made.append(pa.nulls(self.count, field.type) if array is None else array.cast(field.type))
        return pa.Table.from_arrays(made, schema=schema)


def _lists(codes: pa.Array) -> pa.Array:
    """Lists of what blanks part; null and "" are lists of none."""
    encoded = codes.fill_null("").dictionary_encode()
    lists = pa.array([text.split() for text in encoded.dictionary.to_pylist()], pa.list_(pa.string()))
    return lists.take(encoded.indices)
