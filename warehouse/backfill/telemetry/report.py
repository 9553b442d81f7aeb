"""What a load, or a dry run of one, says about itself."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from warehouse.ledger import KeptDay


@dataclass(slots=True)
class ColumnReport:
    """What became of the files' columns."""

    mapped: dict[str, str] = field(default_factory=dict)
    """Our column → the file's."""
    ignored: set[str] = field(default_factory=set)
    """Columns of files that go nowhere."""
    kept: set[str] = field(default_factory=set)
    """Columns without a place that go into `raw_data`."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Values out of range that count as nothing, by column, where the mapping says so; of this call."""
    wanted: set[str] = field(default_factory=set)
    """Columns that the mapping names."""
    found: set[str] = field(default_factory=set)
    """Those of them that stand in a file."""

    @property
    def missing(self) -> list[str]:
        """Columns that are mapped and stand in no file."""
        return sorted(self.wanted - self.found)


@dataclass(frozen=True, slots=True)
class Example:
    """Where a row lies that was set aside; what stands in it is no business of a terminal."""

    file: str
    row_number: int
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class TelemetryReport:
    """One call of `backfill_telemetry` or `dry_run`."""

    load_id: str
    is_dry_run: bool
    is_new: bool
    """False: the same files were loaded before in the same way, nothing was changed."""
    file_count: int
    read_rows: int
    loaded_rows: int
    """Different good rows; in a dry run good rows."""
    doubled_rows: int | None
    """Good rows that stood there more than once; a dry run does not look for them."""
    rejected: Mapping[str, int]
    """Rows that were set aside, by `file: reason`."""
    first_day: date | None
    last_day: date | None
    days_by_tier: Mapping[str, int]
    """Days by where they go; "archive": by way of ClickHouse, which the archive job relieves of them."""
    vehicle_count: int
    registered_vehicles: int
    """In a dry run: that would be."""
    odd_check_digits: int
    """Vehicles whose VIN has a wrong check digit; loaded all the same."""
    seconds: float
    columns: ColumnReport = field(default_factory=ColumnReport)
    skipped_files: Sequence[str] = ()
    """Names that are of no format that is read."""
    examples: Sequence[Example] = ()
    pending: Sequence[KeptDay] = ()
    """Days that could not be merged now, and why; the next call goes on with them."""
    estimated_bytes: int | None = None
    """What a dry run's rows take where they go."""

    @property
    def rejected_rows(self) -> int:
        """Rows that were set aside, all together."""
        return sum(self.rejected.values())


BYTES_A_ROW: Mapping[str, float] = {"hot": 400.0, "warm": 21.0, "cold": 13.5, "archive": 13.5}
"""Measured on VED's rows, see docs/warehouse.md; the hot tier's heap and index, see its performance notes."""


def estimated_bytes(rows_by_day: Counter[date], tiers: Mapping[date, str]) -> int:
    """What the rows will take, by the measured bytes a row of each tier."""
    return round(sum(count * BYTES_A_ROW[tiers[day]] for day, count in rows_by_day.items()))
