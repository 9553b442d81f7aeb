"""A fleet's history as a folder of Parquet files: what a warehouse would have learnt, the truth beside it.

Cars are simulated some at a time and written as they come, so memory stays bounded. The files appear at once:
they are written into a folder beside the final one, which is renamed when all is there. The same seed,
cars and days give the same bytes.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from simulation.fleet.cars import by_vin
from simulation.fleet.life import Life, day_number, simulate_life
from simulation.fleet.oracle import ORACLE_SCHEMA, battery_days
from simulation.fleet.parameters import EPOCH, PARAMETERS, Parameters
from simulation.fleet.profiles import MAKE
from simulation.fleet.signals import SIGNAL_SCHEMA, day_signals, vins_of
from simulation.fleet.trips import trips_of_days
from simulation.fleet.workshop import FAILURE_SCHEMA, SERVICE_SCHEMA, service_book
from telematics.errors import ConfigurationError, ConflictError
from telematics.names import Origin

GENERATOR: Final = "piston-simulator/1"
MANIFEST: Final = "manifest.json"
VEHICLES: Final = "vehicles.parquet"
SIGNALS: Final = "component_day_signals.parquet"
SERVICE_RECORDS: Final = "service_records.parquet"
BATTERY_DAYS: Final = "oracle/battery_days.parquet"
FAILURES: Final = "oracle/failures.parquet"

VEHICLE_SCHEMA: Final = pa.schema(
    [
        ("vin", pa.string()),
        ("origin", pa.string()),
        ("make", pa.string()),
        ("model", pa.string()),
        ("model_year", pa.int16()),
    ]
)
_SCHEMAS: Final = {
    VEHICLES: VEHICLE_SCHEMA,
    SIGNALS: SIGNAL_SCHEMA,
    SERVICE_RECORDS: SERVICE_SCHEMA,
    BATTERY_DAYS: ORACLE_SCHEMA,
    FAILURES: FAILURE_SCHEMA,
}
_CARS_AT_A_TIME: Final = 50
_HASH_BYTES: Final = 1 << 20

Progress = Callable[[int, int], None]
"""Told now and then: cars that are done, cars in all."""


class ForeignFolderError(ConflictError):
    """The folder holds something that is no simulated history; nothing was touched."""


@dataclass(frozen=True, slots=True)
class HistorySummary:
    """What was written.

    Attributes:
        folder: where.
        vehicles: cars.
        first_day: of the signals.
        last_day: of the signals.
        rows: by file.
    """

    folder: Path
    vehicles: int
    first_day: date
    last_day: date
    rows: dict[str, int]


def write_history(
    folder: Path,
    *,
    seed: int,
    vehicles: int,
    days: int,
    end_day: date,
    progress: Progress = lambda *_: None,
    parameters: Parameters = PARAMETERS,
) -> HistorySummary:
    """Write the history of a fleet's last days.

    Args:
        folder: is created; one that holds an earlier simulated history is replaced, and only such a one.
        seed: of the fleet.
        vehicles: how many cars.
        days: how many days.
        end_day: the last of them.
        progress: told now and then.
        parameters: of the fleet.

    Raises:
        ConfigurationError: seed, cars or days are out of their range.
        ForeignFolderError: the folder holds something else.
    """
    first_day = check_days(days, end_day)
    numbers = by_vin(seed, vehicles)
    folder = folder.resolve()
    _check_folder(folder)
    beside = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    (beside / "oracle").mkdir(parents=True)
    try:
        with _writers(beside) as write:
            for begin in range(0, vehicles, _CARS_AT_A_TIME):
                some = numbers[begin : begin + _CARS_AT_A_TIME]
                life = simulate_life(seed, some, end_day, parameters)
                for name, table in _tables(life, day_number(first_day), parameters):
                    write(name, table)
                progress(begin + len(some), vehicles)
        files = {name: _described(beside / name) for name in _SCHEMAS}
        manifest = {
            "generator": GENERATOR,
            "seed": seed,
            "vehicles": vehicles,
            "days": days,
            "first_day": first_day.isoformat(),
            "last_day": end_day.isoformat(),
            "parameters_hash": parameters.fingerprint,
            "files": files,
        }
        (beside / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        if folder.exists():
            shutil.rmtree(folder)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    rows = {name: int(each["rows"]) for name, each in files.items()}
    return HistorySummary(folder, vehicles, first_day, end_day, rows)


def check_days(days: int, end_day: date) -> date:
    """The first of so many days.

    Raises:
        ConfigurationError: it lies before the epoch.
    """
    most = day_number(end_day) + 1
    if not 1 <= days <= most:
        message = (
            f"--days {days}: the cars' lives begin on {EPOCH}, so up to {end_day} there are 1 to "
            f"{max(most, 0)} days"
        )
        raise ConfigurationError(message)
    return end_day - timedelta(days=days - 1)


def _check_folder(folder: Path) -> None:
    """Refuse to replace what is not ours.

    Raises:
        ForeignFolderError: it is no folder, or holds anything that is no file of a simulated history.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        generator = json.loads((folder / MANIFEST).read_text())["generator"]
    except (OSError, ValueError, KeyError, TypeError):
        generator = ""
    is_ours = str(generator).startswith(GENERATOR.partition("/")[0])
    if not is_ours or not _names(folder) <= {MANIFEST, *_SCHEMAS}:
        message = f"{folder} holds no simulated history, or more than that: name an empty or a new folder"
        raise ForeignFolderError(message)


def _names(folder: Path) -> set[str]:
    """Of all files in the folder and below."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def _tables(life: Life, first_day: int, parameters: Parameters) -> Iterator[tuple[str, pa.Table]]:
    """Each file's rows for some cars."""
    yield VEHICLES, _vehicles(life)
    trips = trips_of_days(life, first_day, parameters)
    yield SIGNALS, day_signals(life, trips, first_day, parameters)
    book = service_book(life, first_day, parameters)
    yield SERVICE_RECORDS, book.records
    yield FAILURES, book.failures
    yield BATTERY_DAYS, battery_days(life, first_day, parameters)


def _vehicles(life: Life) -> pa.Table:
    profiles, count = life.profiles, len(life.profiles)
    return pa.Table.from_arrays(
        [
            pa.array(vins_of(life)),
            pa.array([Origin.SIMULATED.value] * count),
            pa.array([MAKE] * count),
            pa.array([profiles.model_name(place) for place in range(count)]),
            pa.array(profiles.model_year.tolist(), pa.int16()),
        ],
        schema=VEHICLE_SCHEMA,
    )


@contextmanager
def _writers(folder: Path) -> Iterator[Callable[[str, pa.Table], None]]:
    """All files open for appending."""
    with ExitStack() as stack:
        writers: dict[str, Any] = {
            name: stack.enter_context(pq.ParquetWriter(folder / name, schema, compression="zstd"))
            for name, schema in _SCHEMAS.items()
        }
        yield lambda name, table: writers[name].write_table(table)


def _described(path: Path) -> dict[str, str | int]:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while piece := file.read(_HASH_BYTES):
            digest.update(piece)
    return {"sha256": digest.hexdigest(), "rows": pq.read_metadata(path).num_rows}
