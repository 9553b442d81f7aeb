"""Command `piston simulate fleet`: a simulated fleet, as a folder of history or through the device port."""

import json
import sys
import time
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.replay import Fast, Register, Speedup, send, speedup_of
from telematics.clock import utc_today
from telematics.errors import ConfigurationError
from telematics.settings import load_settings

if TYPE_CHECKING:
    from simulation.fleet.history import HistorySummary

simulate = typer.Typer(
    help="Simulate vehicles: drivers, weather, trips, wear, failures, service records.",
    no_args_is_help=True,
)

_TCP = "tcp://"
_REPORT_EVERY_S = 2.0


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(simulate, name="simulate")


@simulate.callback()
def _group() -> None:
    """Keep `fleet` a command of its own although it is the only one."""


@simulate.command()
def fleet(
    out: Annotated[
        str,
        typer.Option(help="FOLDER for Parquet files of the history, or tcp://HOST:PORT for a device port."),
    ],
    vehicles: Annotated[int, typer.Option(min=1, max=10_000, help="How many cars.")] = 6,
    days: Annotated[int, typer.Option(min=1, help="How many days, up to and including --end.")] = 14,
    seed: Annotated[int, typer.Option(min=0, max=99_999, help="The same seed gives the same cars.")] = 1,
    end: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="The last day, UTC; default: the day before this seed was first used here, and kept.",
        ),
    ] = None,
    fast: Fast = False,
    speedup: Speedup = None,
    register: Register = True,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Write a fleet's history, or send the records of the same trips of the same cars.

    A car depends on its seed and number, a day on the calendar: --vehicles and --days only choose which of
    them come out. A folder holds day signals, service records and vehicles, and beside them the truth
    (oracle/), which nothing loads. With tcp:// the devices are registered, and what was acknowledged before
    is not sent again; --fast, --speedup and --no-register are for that output.
    """
    settings = load_settings()
    end_day = _end_day(end, seed)
    if not out.startswith(_TCP):
        if fast or speedup is not None or not register:
            message = "--fast, --speedup and --no-register belong to --out tcp://HOST:PORT, not to a folder"
            raise ConfigurationError(message)
        _write(_folder(out), seed, vehicles, days, end_day, as_json)
        return
    from simulation.fleet.source import fleet_sources

    host, port = _address(out)
    sources = fleet_sources(seed=seed, vehicles=vehicles, days=days, end_day=end_day)
    send(settings, sources, speedup_of(fast, speedup), host, port, register, as_json)


def _end_day(end: datetime | None, seed: int) -> date:
    """The chosen last day, or the kept one.

    Raises:
        ConfigurationError: it is not over yet.
    """
    from simulation.fleet.end_day import kept_end_day
    from simulation.replay.run import state_folder

    today = utc_today()
    if end is None:
        return kept_end_day(state_folder(load_settings()), seed, today)
    if end.date() >= today:
        message = f"--end {end.date()}: a day that is over, {today} is not yet"
        raise ConfigurationError(message)
    return end.date()


def _folder(out: str) -> Path:
    """The folder of `--out`.

    Raises:
        ConfigurationError: it names another scheme than tcp, or nothing.
    """
    if "://" in out or not out.strip():
        message = f"--out {out}: a FOLDER or tcp://HOST:PORT"
        raise ConfigurationError(message)
    return Path(out)


def _address(out: str) -> tuple[str, int]:
    """Host and port of `--out`.

    Raises:
        ConfigurationError: they are not there.
    """
    host, _, port = out.removeprefix(_TCP).rstrip("/").rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        message = f"--out {out}: tcp://HOST:PORT needs both, for example tcp://127.0.0.1:5027"
        raise ConfigurationError(message)
    return host.strip("[]"), int(port)


def _write(folder: Path, seed: int, vehicles: int, days: int, end_day: date, as_json: bool) -> None:
    from simulation.fleet.history import write_history

    started = reported = time.monotonic()

    def progress(done: int, cars: int) -> None:
        nonlocal reported
        now = time.monotonic()
        if done == cars or now - reported >= _REPORT_EVERY_S:
            reported = now
            print(f"{done:,} of {cars:,} cars, {now - started:.0f} s", file=sys.stderr, flush=True)

    summary = write_history(
        folder, seed=seed, vehicles=vehicles, days=days, end_day=end_day, progress=progress
    )
    seconds = time.monotonic() - started
    if as_json:
        print(json.dumps({**asdict(summary), "seconds": seconds}, default=str))
    else:
        print(_sentence(summary, seconds))


def _sentence(summary: "HistorySummary", seconds: float) -> str:
    from simulation.fleet.history import FAILURES, SERVICE_RECORDS, SIGNALS

    rows = summary.rows
    return (
        f"{summary.folder}: {summary.vehicles:,} cars from {summary.first_day} to {summary.last_day}, "
        f"{rows[SIGNALS]:,} days with signals, {rows[SERVICE_RECORDS]:,} service records, "
        f"{rows[FAILURES]:,} failures, in {seconds:.1f} s"
    )
