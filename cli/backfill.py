"""Command `piston backfill FOLDER`: a history from files, exactly once."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from telematics.errors import PistonError

if TYPE_CHECKING:
    from warehouse.backfill import BackfillReport


class NothingLoadedError(PistonError):
    """Every row of a folder was set aside."""


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command()(backfill)


def backfill(
    folder: Annotated[
        Path,
        typer.Argument(help="Folder with manifest.json and Parquet files (`piston simulate fleet --out`)."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Load a history: day signals, service records and vehicles. The same files again: nothing happens.

    A folder that is not whole is refused (exit code 2). Single rows that cannot be true are set aside in
    `backfill_rejects` with the reason, and counted here; their neighbours load. Dagster builds the marts of
    the loaded days afterwards. A folder of which not one row loads ends with exit code 1.
    """
    from telematics.settings import load_settings
    from warehouse.backfill import backfill as load

    report = load(load_settings(), folder, progress=_progress)
    if as_json:
        print(json.dumps(asdict(report), default=str))
    else:
        print("\n".join(_lines(report)))
    if report.is_new and report.rejected and not (report.day_rows or report.vehicle_rows):
        message = "nothing of the folder could be loaded: every row was set aside, for the reasons above"
        raise NothingLoadedError(message)


def _progress(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _lines(report: "BackfillReport") -> list[str]:
    if not report.is_new:
        same = f"nothing to load: the same files are load {report.load_id}, complete"
        return [same, *_set_aside(report)]
    days = f", {report.first_day} to {report.last_day}" if report.first_day else ""
    lines = [
        f"{report.day_rows:,} days of vehicles{days}; {report.vehicle_rows:,} vehicles, "
        f"{report.service_record_rows:,} new service records; {report.seconds:.1f} s"
    ]
    return lines + _set_aside(report)


def _set_aside(report: "BackfillReport") -> list[str]:
    return [f"set aside: {count:,} × {what}" for what, count in report.rejected.items()]
