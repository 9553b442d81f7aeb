"""Which rows are set aside, and why: whole columns at a time, no row in Python.

A row is set aside for the first reason that holds for it. Its good neighbours load.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingest.registry.ranges import RESERVED_VIN_PREFIXES
from telematics.names import Origin
from warehouse.backfill.schema import SCHEMAS, SERVICE_RECORDS, SIGNALS, VEHICLES, VOLTAGES

Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int8]
"""For each row 0, or the number of the reason for which it is set aside."""

_VIN: Final = "^[A-HJ-NPR-Z0-9]{17}$"
_NAME: Final = r"^[^\x00-\x1f\x7f]{0,100}$"
_FIRST_DAY: Final = date(2000, 1, 1)
"""The warehouse's first day: dbt's runs over the whole history begin there."""
_AHEAD: Final = timedelta(days=2)
"""A day of a model is known some hours after its end, so yesterday's may be known later today."""
_HIGHEST_V: Final = 40.0
"""Above this no 12 V supply ever is: ISO 16750-2 tests load dumps of 12 V systems, suppressed, to 35 V."""
_AIR_C: Final = (-60.0, 85.0)
_LONGEST_ON_S: Final = 1_000_000.0
_FARTHEST_M: Final = 10_000_000.0
_MEAN_SLACK_V: Final = 0.001
"""A mean of equal values can fall below them by rounding."""


class Reason(StrEnum):
    """Why a row is set aside."""

    MISSING_VALUE = "a value is missing"
    MALFORMED_VIN = "malformed VIN"
    UNKNOWN_ORIGIN = "unknown origin"
    OTHER_RANGE = "VIN outside the range of its origin"
    IMPLAUSIBLE_YEAR = "model year outside 1950 to 2100"
    IMPLAUSIBLE_TEXT = "text with control characters, or longer than 100"
    UNKNOWN_VEHICLE = "unknown vehicle"
    OTHER_ORIGIN = "origin is not the vehicle's"
    IN_THE_FUTURE = "in the future"
    TOO_OLD = "before the year 2000"
    KNOWN_TOO_EARLY = "known before it happened"
    NOT_A_NUMBER = "not a finite number"
    NEGATIVE = "negative"
    IMPLAUSIBLE_VOLTAGE = "voltage outside 0 to 40 V"
    IMPLAUSIBLE_TEMPERATURE = "air temperature outside -60 to 85 Cel"
    IMPLAUSIBLE_DAY = "longer or farther than a day's trips can be"
    COUNTS_DISAGREE = "counts or voltages contradict each other"
    UNKNOWN_KIND = "unknown component, kind or reason"
    REPEATED = "repeats an earlier row"


_REASONS: Final = tuple(Reason)
_NUMBER: Final = {reason: number for number, reason in enumerate(_REASONS, start=1)}


def reason_of(code: int) -> Reason:
    """The reason behind a code other than 0."""
    return _REASONS[code - 1]


@dataclass(frozen=True, slots=True)
class KnownVehicles:
    """Vehicles that rows may be about: those of the folder and those of the registry."""

    vins: pa.Array
    origins: pa.Array

    @classmethod
    def of(cls, origins: dict[str, str]) -> "KnownVehicles":
        """From origins by VIN."""
        return cls(pa.array(list(origins), pa.string()), pa.array(list(origins.values()), pa.string()))


def judge_vehicles(table: pa.Table) -> Codes:
    """Codes for the rows of `vehicles.parquet`."""
    vin, origin = table["vin"], table["origin"]
    return _first(
        len(table),
        [
            (Reason.MISSING_VALUE, _lacking(table, VEHICLES)),
            (Reason.MALFORMED_VIN, ~_true(pc.match_substring_regex(vin, _VIN))),
            (Reason.UNKNOWN_ORIGIN, ~_true(pc.is_in(origin, pa.array([item.value for item in Origin])))),
            (Reason.OTHER_RANGE, _outside_range(vin, origin)),
            (Reason.IMPLAUSIBLE_YEAR, ~_between(table["model_year"], 1950, 2100)),
            (Reason.IMPLAUSIBLE_TEXT, _odd_text(table["make"]) | _odd_text(table["model"])),
            (Reason.REPEATED, _repeated([vin])),
        ],
    )


def _odd_text(column: pa.ChunkedArray) -> Mask:
    """Texts that no make or model has, and PostgreSQL might not hold; nulls are none."""
    return ~_true(pc.fill_null(pc.match_substring_regex(column, _NAME), True))


def repeated_days(keys: pa.Table) -> Mask:
    """Rows of `component_day_signals.parquet` whose vehicle and day an earlier row has."""
    return _repeated([keys["vin"], keys["date"]])


def judge_days(batch: pa.RecordBatch, known: KnownVehicles, repeated: Mask, now: datetime) -> Codes:
    """Codes for rows of `component_day_signals.parquet`.

    Args:
        batch: the rows.
        known: vehicles that rows may be about.
        repeated: `repeated_days` of these rows.
        now: rows about days after its UTC day lie in the future.
    """
    place = pc.index_in(batch["vin"], known.vins)
    origin = pc.take(known.origins, place)
    date_, known_at = batch["date"], batch["known_at"]
    doubles = [field.name for field in SCHEMAS[SIGNALS] if field.type == pa.float64()]
    return _first(
        len(batch),
        [
            (Reason.MISSING_VALUE, _lacking(batch, SIGNALS) | _holding_null(batch["dtc_codes"])),
            (Reason.MALFORMED_VIN, ~_true(pc.match_substring_regex(batch["vin"], _VIN))),
            (Reason.UNKNOWN_VEHICLE, ~_true(pc.is_valid(place))),
            (Reason.OTHER_ORIGIN, ~_true(pc.equal(batch["origin"], origin))),
            (
                Reason.IN_THE_FUTURE,
                _true(pc.greater(date_, _day(now.date())))
                | _true(pc.greater(known_at, _moment(now + _AHEAD))),
            ),
            (Reason.TOO_OLD, _true(pc.less(date_, _day(_FIRST_DAY)))),
            (Reason.KNOWN_TOO_EARLY, _true(pc.less(known_at, pc.cast(date_, known_at.type)))),
            (Reason.NOT_A_NUMBER, _any(~_finite(batch[name]) for name in doubles)),
            (
                Reason.NEGATIVE,
                _any(_true(pc.less(batch[name], 0.0)) for name in ("engine_on_s", "distance_m")),
            ),
            (Reason.IMPLAUSIBLE_VOLTAGE, _any(~_between(batch[name], 0.0, _HIGHEST_V) for name in VOLTAGES)),
            (Reason.IMPLAUSIBLE_TEMPERATURE, ~_between(batch["ambient_c"], *_AIR_C)),
            (
                Reason.IMPLAUSIBLE_DAY,
                ~_between(batch["engine_on_s"], 0.0, _LONGEST_ON_S)
                | ~_between(batch["distance_m"], 0.0, _FARTHEST_M),
            ),
            (Reason.COUNTS_DISAGREE, _any(_contradictions(batch))),
            (Reason.REPEATED, repeated),
        ],
    )


def judge_service_records(table: pa.Table, known: KnownVehicles, now: datetime) -> Codes:
    """Codes for the rows of `service_records.parquet`; `now` as in `judge_days`."""
    performed_on, recorded_at, odometer = table["performed_on"], table["recorded_at"], table["odometer_mi"]
    is_known_kind = (
        _true(pc.equal(table["component"], "battery"))
        & _true(pc.is_in(table["kind"], pa.array(["replacement", "repair"])))
        & _true(pc.is_in(table["reason"], pa.array(["failure", "preventive", "unknown"])))
    )
    return _first(
        len(table),
        [
            (Reason.MISSING_VALUE, _lacking(table, SERVICE_RECORDS)),
            (Reason.MALFORMED_VIN, ~_true(pc.match_substring_regex(table["vin"], _VIN))),
            (Reason.UNKNOWN_VEHICLE, ~_true(pc.is_in(table["vin"], known.vins))),
            (Reason.UNKNOWN_KIND, ~is_known_kind),
            (
                Reason.IN_THE_FUTURE,
                _true(pc.greater(performed_on, _day(now.date())))
                | _true(pc.greater(recorded_at, _moment(now))),
            ),
            (Reason.TOO_OLD, _true(pc.less(performed_on, _day(_FIRST_DAY)))),
            (Reason.KNOWN_TOO_EARLY, _true(pc.less(recorded_at, pc.cast(performed_on, recorded_at.type)))),
            (Reason.NOT_A_NUMBER, ~_finite(odometer)),
            (Reason.NEGATIVE, _true(pc.less(odometer, 0.0))),
            (
                Reason.REPEATED,
                _repeated([table[name] for name in ("vin", "component", "kind", "performed_on")]),
            ),
        ],
    )


def _contradictions(batch: pa.RecordBatch) -> Iterator[Mask]:
    has_cranks = _true(pc.greater(batch["crank_count"], 0))
    yield _true(pc.greater(batch["crank_count"], batch["start_count"]))
    yield _true(pc.greater(batch["short_trip_count"], batch["start_count"]))
    for lowest, mean in (
        ("crank_min_v", "crank_mean_v"),
        ("rest_min_v", "rest_v"),
        ("charge_min_v", "charge_v"),
    ):
        yield _true(pc.is_valid(batch[lowest])) != _true(pc.is_valid(batch[mean]))
        yield _true(pc.greater(pc.subtract(batch[lowest], batch[mean]), _MEAN_SLACK_V))
    yield has_cranks != _true(pc.is_valid(batch["crank_min_v"]))


def _first(count: int, findings: Iterable[tuple[Reason, Mask]]) -> Codes:
    codes = np.zeros(count, np.int8)
    for reason, mask in findings:
        codes[(codes == 0) & mask] = _NUMBER[reason]
    return codes


def _true(column: Any) -> Mask:
    """Where a boolean column is true; null is not."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return np.asarray(pc.fill_null(column, False).to_numpy(zero_copy_only=False), dtype=np.bool_)


def _any(masks: Iterable[Mask]) -> Mask:
    mask: Mask = np.any(np.stack(list(masks)), axis=0)
    return mask


def _lacking(rows: Any, name: str) -> Mask:
    return _any(_true(pc.is_null(rows[field.name])) for field in SCHEMAS[name] if not field.nullable)


def _holding_null(lists: Any) -> Mask:
    """Lists that hold a null."""
    parents = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
    mask = np.zeros(len(lists), np.bool_)
    mask[parents[_true(pc.is_null(pc.list_flatten(lists)))]] = True
    return mask


def _finite(column: Any) -> Mask:
    """Finite or null."""
    return _true(pc.fill_null(pc.is_finite(column), True))


def _between(column: Any, lowest: float, highest: float) -> Mask:
    """In the range or null."""
    inside = pc.and_(pc.greater_equal(column, lowest), pc.less_equal(column, highest))
    return _true(pc.fill_null(inside, True))


def _outside_range(vin: Any, origin: Any) -> Mask:
    """VINs that carry another origin's reserved manufacturer code, or lack their own's."""
    return _any(
        _true(pc.starts_with(vin, prefix)) != _true(pc.equal(origin, owner.value))
        for owner, prefix in RESERVED_VIN_PREFIXES.items()
    )


def _repeated(columns: list[Any]) -> Mask:
    """Rows whose values in all columns an earlier row has."""
    keys = np.stack([_codes_of(column) for column in columns])
    order = np.lexsort(keys[::-1])  # stable: of equal rows the earliest comes first
    is_equal = np.all(keys[:, order[1:]] == keys[:, order[:-1]], axis=0)
    mask = np.zeros(keys.shape[1], np.bool_)
    mask[order[1:][is_equal]] = True
    return mask


def _codes_of(column: Any) -> npt.NDArray[np.int64]:
    encoded = column.combine_chunks().dictionary_encode()
    return np.asarray(pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _day(day: date) -> pa.Scalar:
    return pa.scalar(day, pa.date32())


def _moment(moment: datetime) -> pa.Scalar:
    return pa.scalar(moment, pa.timestamp("ms", tz="UTC"))
