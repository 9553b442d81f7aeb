"""Files read and judged without a server."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from ingest.device_time import DeviceTimes
from telematics.clock import epoch_ms
from warehouse.backfill.telemetry.mapping import FileMapping
from warehouse.backfill.telemetry.reading import FileReading
from warehouse.backfill.telemetry.report import ColumnReport
from warehouse.backfill.telemetry.rows import Limits
from warehouse.backfill.telemetry.sources import SourceFile
from warehouse.backfill.telemetry.vehicles import Vehicles

VIN, OTHER, IMEI = "WBACKF00000000001", "WBACKF00000000002", "353000000000001"
NOW = epoch_ms(datetime(2026, 3, 1, tzinfo=UTC))
GOOD = "2026-02-01T10:00:00Z"
HEADER = "time,vin,lat,lng,speed_mph,rpm,dtc_codes,ignition"


def make_vehicles(**overrides: Any) -> Vehicles:
    values = {"vins": frozenset({VIN}), "imeis": frozenset({IMEI}), "postings": frozenset()}
    return Vehicles(**(values | overrides))


class Read:
    """What a file became."""

    def __init__(
        self, path: Path, mapping: FileMapping | None = None, vehicles: Vehicles | None = None
    ) -> None:
        limits = Limits(DeviceTimes(epoch_ms(datetime(2010, 1, 1, tzinfo=UTC)), 24 * 3_600_000), NOW)
        self.reading = FileReading(
            SourceFile(0, path.name, "", 0), vehicles or make_vehicles(), limits, mapping, ColumnReport()
        )
        tables = list(self.reading.tables(path))
        self.table = pa.concat_tables(tables) if tables else pa.table({})
        self.columns = self.reading.columns

    @property
    def rejects(self) -> list[tuple[int, str, str]]:
        found = [(each.row_number, each.reason.value, each.detail) for each in self.reading.rejects.kept()]
        return sorted(found)

    def values(self, name: str) -> list[Any]:
        return self.table.column(name).to_pylist()


def read_csv(tmp_path: Path, *lines: str | bytes, header: str = HEADER, **options: Any) -> Read:
    path = tmp_path / "h.csv"
    rows = [line.encode() if isinstance(line, str) else line for line in (header, *lines)]
    path.write_bytes(b"\n".join(rows) + b"\n")
    return Read(path, **options)


def row(**overrides: str) -> str:
    values = dict.fromkeys(HEADER.split(","), "") | {
        "time": GOOD, "vin": VIN, "lat": "42.5", "lng": "-83.5", "speed_mph": "30",
    }  # fmt: skip
    return ",".join((values | overrides).values())
