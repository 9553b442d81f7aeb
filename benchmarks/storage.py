"""`piston bench storage`: bytes of a record in every tier, against two baselines in the same TimescaleDB.

The same frames, of the recorded drives and of a simulated fleet's day apart, become rows of the hot tier by
the sink's own parts, rows of the blueprint's table (`baselines.blueprint_layout`), days in ClickHouse by the
day load, warm with LZ4 and cold with ZSTD, and Parquet by the archive's own writer. Every tier holds them in
its natural grain, a UTC day. Sizes are what the servers' catalogues say: `hypertable_detailed_size` (heap,
indexes and toast, all chunks), `system.parts.bytes_on_disk` of active, merged parts, and the files' lengths.

The number of rows has to be the same in each; a tier that lacks one ends the benchmark.
"""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
import structlog
from clickhouse_connect.driver.client import Client

from benchmarks.baselines import blueprint_layout
from benchmarks.hot_days import Arrival, HotTier
from benchmarks.measuring import Figures, Report
from benchmarks.private_stack import private_stack
from benchmarks.recorded_drives import NEVER_COLD_DAYS, recorded_drives, recordings_folder
from benchmarks.simulated_day import simulate_day
from ingest.registry.models import NewDevice
from migrations.clickhouse.tiers import COLD_CODEC, follow_retention
from telematics.clock import utc_now, utc_today
from telematics.errors import NotFoundError
from warehouse import clients
from warehouse.archive import parquet
from warehouse.day_load import load_days
from warehouse.warm_days import TELEMETRY, row_counts

VEHICLES: Final = 2_400
DEVICES: Final = 100_000
"""The blueprint's arithmetic is for so many."""
_DAYS_OF_MONTH, _DAYS_OF_YEAR = 30, 365
_CLAIMED_GB_PER_DAY: Final = 50
_FRAMES_AT_ONCE: Final = 20_000
_PARTS: Final = f"from system.parts where active and database || '.' || table = '{TELEMETRY}'"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of the same rows.

    Attributes:
        rows: how many.
        days: in how many UTC days.
        blueprint: heap, toast and index of the blueprint's table.
        heap: of the hot tier, without its index.
        hot: with it.
        warm: ClickHouse, LZ4.
        cold: ClickHouse, recompressed.
        archive: Parquet files.
    """

    rows: int
    days: int
    blueprint: int
    heap: int
    hot: int
    warm: int
    cold: int
    archive: int

    def per_row(self, size: int) -> float:
        """Bytes of one row."""
        return size / self.rows

    def reduction_pct(self, size: int, baseline: int) -> float:
        """By how many percent it is smaller than a baseline."""
        return 100 * (1 - size / baseline)


def run(vehicles: int = VEHICLES) -> Report:
    """Measure; some six minutes.

    Args:
        vehicles: of the simulated fleet.

    Raises:
        NotFoundError: the recorded drives are not there.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    figures: Figures = {}
    notes: list[str] = []
    folder = recordings_folder()
    if folder is None:
        message = "no recorded drives beside the project; PISTON_VED_DIR names their folder"
        raise NotFoundError(message)
    with tempfile.TemporaryDirectory() as scratch:
        drives = [*recorded_drives(folder, Path(scratch))]
    frames = [frame for _, sent in drives for frame in sent]
    real = measure([device for device, _ in drives], frames)
    _note("real", real, figures, notes)
    del drives, frames
    day = utc_today(utc_now) - timedelta(days=1)
    fleet = simulate_day(day, vehicles)
    simulated = measure(fleet.devices, fleet.frames)
    _note("simulated", simulated, figures, notes)
    _note_arithmetic(simulated, len(fleet.devices), figures, notes)
    return Report("storage", figures, tuple(notes))


def measure(devices: Sequence[NewDevice], frames: list[Arrival]) -> Sizes:
    """Store frames in every tier, on servers of their own.

    Raises:
        RuntimeError: a tier does not hold all rows.
    """
    frames.sort()
    with private_stack() as settings:
        hot = HotTier(settings, devices)
        rows = hot.take(frames)
        first, until = hot.days()
        hot.close()
        with psycopg.connect(settings.timescale_dsn(), autocommit=True) as connection:
            _build_blueprint(connection, devices, frames, rows)
            blueprint, typed = _table_sizes(connection)
        with clients.clickhouse(settings) as client:
            follow_retention(client, NEVER_COLD_DAYS)
            load_days(settings, first, until, "bench")
            days = row_counts(client, first, until)
            warm = _warehouse_size(client, rows, "LZ4")
            client.command(f"alter table {TELEMETRY} modify setting merge_with_recompression_ttl_timeout = 0")
            follow_retention(client, 0)
            cold = _warehouse_size(client, rows, COLD_CODEC)
            archive = _archive_size(client, [*days])
    return Sizes(rows, len(days), blueprint.total, typed.heap, typed.total, warm, cold, archive)


@dataclass(frozen=True, slots=True)
class _TableSize:
    heap: int
    total: int


def _build_blueprint(
    connection: psycopg.Connection[Any], devices: Sequence[NewDevice], frames: Sequence[Arrival], rows: int
) -> None:
    vins = {device.imei: device.vin for device in devices}
    blueprint_layout.create_table(connection)
    stored = 0
    for first in range(0, len(frames), _FRAMES_AT_ONCE):
        some = frames[first : first + _FRAMES_AT_ONCE]
        stored += blueprint_layout.store(
            connection, ((each.imei, vins[each.imei], each.frame) for each in some)
        )
    if stored != rows:
        message = f"the blueprint's table has {stored} rows, the hot tier {rows}"
        raise RuntimeError(message)


def _table_sizes(connection: psycopg.Connection[Any]) -> Iterator[_TableSize]:
    """Of the blueprint's table and of ours; heap includes what is toasted."""
    for table in (blueprint_layout.NAME, "telemetry"):
        sizes = connection.execute(
            "select sum(table_bytes + toast_bytes)::bigint, sum(total_bytes)::bigint "
            "from hypertable_detailed_size(%s)",
            [table],
        ).fetchone()
        assert sizes is not None  # noqa: S101 - an aggregate always has a row
        yield _TableSize(*sizes)


def _warehouse_size(client: Client, rows: int, codec: str) -> int:
    """Bytes on disk, one merged part a day, with this codec.

    Raises:
        RuntimeError: a part has another codec, a day two parts, or rows are missing.
    """
    client.command(f"optimize table {TELEMETRY} final")
    ((size, stored, parts, days, codecs),) = client.query(
        "select sum(bytes_on_disk), sum(rows), count(), uniqExact(partition), "
        f"groupUniqArray(default_compression_codec) {_PARTS}"
    ).result_rows
    if (stored, parts, codecs) != (rows, days, [codec]):
        message = f"{stored} of {rows} rows in {parts} parts of {days} days with {codecs}, not {codec}"
        raise RuntimeError(message)
    return int(size)


def _archive_size(client: Client, days: Sequence[date]) -> int:
    """Bytes of the days' Parquet files; manifests, a kilobyte or two each, are apart."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "day.parquet"
        return sum(parquet.write_day(client, day, target).byte_count for day in days)


def _note(kind: str, sizes: Sizes, figures: Figures, notes: list[str]) -> None:
    for name, baseline in (("", sizes.blueprint), ("_typed", sizes.hot)):
        figures[f"reduction_percent_{kind}{name}"] = sizes.reduction_pct(sizes.cold, baseline)
        figures[f"parquet_reduction_percent_{kind}{name}"] = sizes.reduction_pct(sizes.archive, baseline)
    figures |= {
        f"clickhouse_bytes_per_row_{kind}": sizes.per_row(sizes.warm),
        f"clickhouse_cold_bytes_per_row_{kind}": sizes.per_row(sizes.cold),
        f"parquet_bytes_per_row_{kind}": sizes.per_row(sizes.archive),
        f"hot_bytes_per_row_{kind}": sizes.per_row(sizes.hot),
        f"hot_heap_bytes_per_row_{kind}": sizes.per_row(sizes.heap),
        f"blueprint_bytes_per_row_{kind}": sizes.per_row(sizes.blueprint),
    }
    notes.append(
        f"{kind}: {sizes.rows:,} rows in {sizes.days:,} UTC days; blueprint's layout "
        f"{sizes.per_row(sizes.blueprint):.1f} B a row, hot {sizes.per_row(sizes.hot):.1f} "
        f"(heap {sizes.per_row(sizes.heap):.1f}), warm {sizes.per_row(sizes.warm):.2f}, cold "
        f"{sizes.per_row(sizes.cold):.2f}, Parquet {sizes.per_row(sizes.archive):.2f}"
    )


def _note_arithmetic(sizes: Sizes, devices: int, figures: Figures, notes: list[str]) -> None:
    """The blueprint's estimate for 100,000 devices, redone with what was measured of the simulated day."""
    records = sizes.rows / devices
    daily = {
        "blueprint": sizes.blueprint,
        "hot": sizes.hot,
        "warm": sizes.warm,
        "cold": sizes.cold,
        "archive": sizes.archive,
    }
    gb = {name: records * DEVICES * sizes.per_row(size) / 1e9 for name, size in daily.items()}
    figures["records_per_device_and_day"] = records
    for name, value in gb.items():
        figures[f"fleet_{name}_gb_per_day"] = value
    figures["fleet_blueprint_tb_per_month"] = gb["blueprint"] * _DAYS_OF_MONTH / 1e3
    figures["fleet_blueprint_tb_per_year"] = gb["blueprint"] * _DAYS_OF_YEAR / 1e3
    figures["fleet_cold_tb_per_year"] = gb["cold"] * _DAYS_OF_YEAR / 1e3
    figures["fleet_archive_tb_per_year"] = gb["archive"] * _DAYS_OF_YEAR / 1e3
    claimed = _CLAIMED_GB_PER_DAY / (records * DEVICES) * 1e9
    notes.append(
        f"{DEVICES:,} devices of {records:.0f} records a day: in the blueprint's layout "
        f"{gb['blueprint']:.1f} GB a day, {gb['blueprint'] * _DAYS_OF_MONTH / 1e3:.2f} TB a month, "
        f"{gb['blueprint'] * _DAYS_OF_YEAR / 1e3:.1f} TB a year, where it estimates 50 GB, 1.5 TB and 18 TB; "
        f"compressed {gb['cold'] * _DAYS_OF_YEAR / 1e3:.2f} TB a year cold, "
        f"{gb['archive'] * _DAYS_OF_YEAR / 1e3:.2f} TB as Parquet, where it estimates 2 TB. Its 50 GB a day "
        f"would be {claimed:.0f} B for each of these records"
    )
