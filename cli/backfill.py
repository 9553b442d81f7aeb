"""Command `piston backfill FOLDER`: a history from files, exactly once."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from warehouse.backfill import BackfillReport


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
    the loaded days afterwards.
    """
    from telematics.settings import load_settings
    from warehouse.backfill import backfill as load

    report = load(load_settings(), folder, progress=_progress)
    if as_json:
        print(json.dumps(asdict(report), default=str))
    else:
        print("\n".join(_lines(report)))


def _progress(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _lines(report: "BackfillReport") -> list[str]:
    if not report.is_new:
        return [f"nothing to load: the same files are load {report.load_id}, complete"]
    days = f", {report.first_day} to {report.last_day}" if report.first_day else ""
    lines = [
        f"{report.day_rows:,} days of vehicles{days}; {report.vehicle_rows:,} vehicles, "
        f"{report.service_record_rows:,} new service records; {report.seconds:.1f} s"
    ]
    lines += [f"set aside: {count:,} × {what}" for what, count in report.rejected.items()]
    return lines
