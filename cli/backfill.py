"""Command `piston backfill PATH`: a history from files, exactly once.

Two kinds of history: a folder that `piston simulate fleet --out` wrote (it has a manifest.json: day signals,
service records, vehicles), and telemetry, row by row, in Parquet, CSV or NDJSON files (docs/backfill.md).
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from telematics.errors import ConfigurationError, PistonError

if TYPE_CHECKING:
    from telematics.names import Origin
    from telematics.settings import Settings
    from warehouse.backfill import BackfillReport
    from warehouse.backfill.telemetry import Request, TelemetryReport


class NothingLoadedError(PistonError):
    """Every row of a history was set aside."""


class SetAsideError(PistonError):
    """Rows were set aside; the others are loaded."""


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command()(backfill)


def backfill(
    path: Annotated[
        str,
        typer.Argument(
            help="File or folder of Parquet, CSV or NDJSON, or s3://bucket/prefix; or a folder with "
            "manifest.json (`piston simulate fleet --out`)."
        ),
    ],
    mapping: Annotated[
        Path | None,
        typer.Option(help="TOML file that names the columns, units and vehicles of a foreign history."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read everything, write nothing, report.")
    ] = False,
    register_vehicles: Annotated[
        bool, typer.Option("--register", help="Register vehicles that are not known; needs --origin.")
    ] = False,
    origin: Annotated[
        str | None, typer.Option(help="Origin of vehicles that are registered: live or recorded.")
    ] = None,
    again: Annotated[
        bool,
        typer.Option("--again", help="Read a complete load once more, for rows that were set aside then."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Load a history straight into the tiers of its days. The same files again: nothing happens.

    Rows that cannot be true are set aside with file, number and reason in `telemetry_backfill_rejects`
    (`backfill_rejects` for a folder with manifest.json), and counted here; their neighbours load. Dagster
    builds the marts of the loaded days.

    Exit codes: 0 all is loaded; 1 rows were set aside; 2 refused, nothing was done; 3 a server is away, or
    days lie in an offline archive: run it again, it goes on from there; 4 the stores contradict each other.
    """
    from telematics.settings import load_settings

    settings = load_settings()
    if not path.startswith("s3://") and (Path(path) / "manifest.json").is_file():
        if mapping or dry_run or register_vehicles or origin or again:
            message = f"{path} has a manifest.json: such a folder takes no other option than --json"
            raise ConfigurationError(message)
        _load_folder(settings, Path(path), as_json=as_json)
        return
    from warehouse.backfill.telemetry import Request

    request = Request(path, mapping, _origin(origin, is_wanted=register_vehicles), again)
    _load_telemetry(settings, request, is_dry_run=dry_run, as_json=as_json)


def _origin(text: str | None, *, is_wanted: bool) -> "Origin | None":
    from telematics.names import Origin

    if is_wanted != (text is not None) or text not in (None, Origin.LIVE, Origin.RECORDED):
        message = "vehicles are registered with --register and --origin live or --origin recorded"
        raise ConfigurationError(message)
    return Origin(text) if text else None


def _load_folder(settings: "Settings", folder: Path, *, as_json: bool) -> None:
    from warehouse.backfill import backfill as load

    report = load(settings, folder, progress=_progress)
    if as_json:
        print(json.dumps(asdict(report), default=str))
    else:
        print("\n".join(_folder_lines(report)))
    if report.is_new and report.rejected and not (report.day_rows or report.vehicle_rows):
        message = "nothing of the folder could be loaded: every row was set aside, for the reasons above"
        raise NothingLoadedError(message)


def _load_telemetry(settings: "Settings", request: "Request", *, is_dry_run: bool, as_json: bool) -> None:
    from warehouse.backfill.telemetry import backfill_telemetry
    from warehouse.backfill.telemetry import dry_run as look

    report = (look if is_dry_run else backfill_telemetry)(settings, request, progress=_progress)
    if as_json:
        print(json.dumps(telemetry_document(report), default=str))
    else:
        print("\n".join(telemetry_lines(report, settings)))
    if report.pending:
        from warehouse.backfill.telemetry.errors import PendingDaysError

        message = f"{len(report.pending)} days could not be merged now; run the same command again later"
        raise PendingDaysError(message)
    if report.rejected_rows and not report.loaded_rows:
        message = "not one row could be loaded: every one was set aside, for the reasons above"
        raise NothingLoadedError(message)
    if report.rejected_rows:
        done = "would be loaded" if is_dry_run else "are loaded"
        message = f"{report.rejected_rows:,} rows were set aside, for the reasons above; the others {done}"
        raise SetAsideError(message)


def telemetry_document(report: "TelemetryReport") -> dict[str, Any]:
    """The report as JSON has it."""
    document = asdict(report) | {"rejected_rows": report.rejected_rows}
    columns = report.columns
    document["columns"] = {
        "mapped": columns.mapped,
        "ignored": sorted(columns.ignored),
        "kept": sorted(columns.kept),
        "missing": columns.missing,
        "left_out": dict(columns.left_out),
    }
    return document


def telemetry_lines(report: "TelemetryReport", settings: "Settings") -> list[str]:
    """The report as people read it; no VIN and no value of a row is in it."""
    lines = []
    if not report.is_new:
        lines.append(
            f"nothing to load: the same files, read the same way, are load {report.load_id}, complete"
        )
    elif report.is_dry_run:
        lines.append(f"dry run: nothing was written; it would be load {report.load_id}")
    days = f", {report.first_day} to {report.last_day}" if report.first_day else ""
    by_tier = ", ".join(f"{count:,} {tier}" for tier, count in sorted(report.days_by_tier.items()))
    lines.append(
        f"{report.file_count:,} files, {report.read_rows:,} rows read; {report.loaded_rows:,} rows of "
        f"{report.vehicle_count:,} vehicles{days} (days: {by_tier or 'none'}); "
        f"{report.seconds:.1f} s, {report.read_rows / max(report.seconds, 0.001):,.0f} rows a second"
    )
    if report.doubled_rows:
        lines.append(f"{report.doubled_rows:,} rows stood there more than once and count once")
    if report.registered_vehicles:
        lines.append(f"{report.registered_vehicles:,} vehicles registered")
    if report.odd_check_digits:
        lines.append(
            f"warning: {report.odd_check_digits:,} VINs have a wrong check digit; loaded all the same"
        )
    if report.estimated_bytes is not None:
        lines.append(f"about {report.estimated_bytes / 1e6:,.1f} MB where the days go")
    lines += _column_lines(report)
    lines += [f"passed over: {name} (its name is of no format that is read)" for name in report.skipped_files]
    lines += [f"set aside: {count:,} × {what}" for what, count in report.rejected.items()]
    lines += [
        f"  {each.file}, row {each.row_number}: {each.reason}{f' ({each.detail})' if each.detail else ''}"
        for each in report.examples
    ]
    lines += [f"pending: {kept.day}: {kept.reason}" for kept in report.pending]
    if report.first_day and report.first_day < settings.first_day:
        lines.append(
            f"days before PISTON_FIRST_DAY={settings.first_day} can be read, but no marts are built of them"
        )
    return lines


def _column_lines(report: "TelemetryReport") -> list[str]:
    columns = report.columns
    renamed = [f"{name} ← {source}" for name, source in columns.mapped.items() if name != source]
    found = (
        ("columns", renamed),
        ("ignored columns", sorted(columns.ignored)),
        ("columns kept in raw_data", sorted(columns.kept)),
        ("mapped, but in no file", columns.missing),
    )
    lines = [f"{title}: {', '.join(names)}" for title, names in found if names]
    return lines + [
        f"left out: {count:,} values of {name} out of range" for name, count in columns.left_out.items()
    ]


def _progress(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _folder_lines(report: "BackfillReport") -> list[str]:
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
