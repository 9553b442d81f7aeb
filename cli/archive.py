"""Commands `piston archive …`: days on object storage, and the days on their way there."""

import json
import sys
from dataclasses import asdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from telematics.errors import ConfigurationError, ConflictError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from warehouse.archive.archiving import ArchiveReport
    from warehouse.archive.ledger import ArchivedFile
    from warehouse.archive.restoring import DayRestore

archive = typer.Typer(
    help="Days that left ClickHouse: Parquet on object storage, each with its manifest.",
    no_args_is_help=True,
)

Json = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(archive, name="archive")


@archive.command(name="list")
def list_(as_json: Json = False) -> None:
    """Archived files by day: version, rows, bytes, storage class, and whether they serve their day."""
    from telematics.settings import load_settings
    from warehouse import clients
    from warehouse.archive import ledger

    settings = load_settings()
    with clients.timescale(settings) as connection:
        files = ledger.all_files(connection)
    if as_json:
        print(json.dumps([asdict(file) for file in files], default=_text, indent=2))
        return
    for file in files:
        serves = "serves the day" if file.is_serving else "superseded, or back in ClickHouse"
        print(
            f"{file.day}  v{file.version:<3} {file.row_count:>12,} rows  {file.byte_count:>14,} bytes  "
            f"{file.storage_class:<12}  {file.damage or serves}"
        )
    print(
        f"{len(files)} files in {settings.archive}" if files else f"nothing is archived ({settings.archive})"
    )


@archive.command()
def verify(
    day: Annotated[
        str | None, typer.Argument(help="UTC day, such as 2024-01-02; all days by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Read archived files back, every byte and row, and compare them with manifest and ledger.

    A damaged file is named, marked, and not served any more; one that is found sound again is. Exit code 4 if
    one is damaged. Days in an offline storage class that are not restored are counted, not read.
    """
    from telematics.clock import utc_now
    from telematics.settings import load_settings
    from warehouse import clients
    from warehouse.archive import ledger, verification
    from warehouse.archive.errors import OfflineError
    from warehouse.archive.storage import open_storage

    settings = load_settings()
    wanted = None if day is None else _day(day)
    storage = open_storage(settings)
    results: list[dict[str, Any]] = []
    with clients.timescale(settings) as connection:
        files = [file for file in ledger.all_files(connection) if wanted in (None, file.day)]
        if wanted is not None and not files:
            message = f"{wanted} was never archived; `piston archive list` shows the days that were"
            raise NotFoundError(message)
        for number, file in enumerate(files, 1):
            _progress(f"{number} of {len(files)}: {file.key}")
            try:
                damage = verification.inspect(storage, file)
            except OfflineError:
                results.append(_verdict(file, "offline", None))
                continue
            ledger.note_verification(connection, file, damage, utc_now())
            results.append(_verdict(file, "sound" if damage is None else "damaged", damage))
    if as_json:
        print(json.dumps(results, indent=2))
    else:
        for result in results:
            line = f"{result['day']}  v{result['version']:<3} {result['verdict']}  {result['damage'] or ''}"
            print(line.rstrip())
    damaged = [result for result in results if result["verdict"] == "damaged"]
    if damaged:
        message = (
            f"{len(damaged)} of {len(results)} archived files are damaged; they are named above, not served"
        )
        raise ConflictError(message)


@archive.command()
def restore(
    day: Annotated[str, typer.Argument(help="UTC day, such as 2024-01-02.")],
    days: Annotated[int, typer.Option(help="How long the day is to be readable.", min=1)] = 7,
    as_json: Json = False,
) -> None:
    """Ask an offline storage class for a day, and say how far it is. Glacier takes hours: ask again."""
    from telematics.settings import load_settings
    from warehouse.archive.restoring import restore_day

    found = restore_day(load_settings(), _day(day), days)
    if as_json:
        print(json.dumps(asdict(found), default=_text, indent=2))
    else:
        print(_restore_line(found))


@archive.command()
def run(
    keep_days: Annotated[
        int | None,
        typer.Option(help="Days that stay in ClickHouse; default PISTON_COLD_RETENTION_DAYS.", min=0),
    ] = None,
    as_json: Json = False,
) -> None:
    """Archive every day that is past its time in ClickHouse, check it, and drop it there.

    Exit code 3 if the object storage does not answer, is full or slow (nothing is lost, run it again), 4 if
    two copies of a day differ (it stays where it was).
    """
    from telematics.clock import utc_today
    from telematics.settings import load_settings
    from warehouse.archive.archiving import archive_days
    from warehouse.archive.restoring import send_requests

    settings = load_settings()
    keep = settings.cold_retention_days if keep_days is None else keep_days
    report = archive_days(settings, utc_today(), keep, progress=_progress)
    restores = send_requests(settings, progress=_progress)
    if as_json:
        print(
            json.dumps({**asdict(report), "restores": [asdict(x) for x in restores]}, default=_text, indent=2)
        )
    else:
        print("\n".join(_run_lines(report, restores)))
    if report.faults:
        message = f"{len(report.faults)} days stay in ClickHouse because two copies of them differ, see above"
        raise ConflictError(message)


def _run_lines(report: "ArchiveReport", restores: "Sequence[DayRestore]") -> list[str]:
    rows = sum(day.row_count for day in report.archived)
    stored = sum(day.byte_count for day in report.archived)
    lines = [
        f"{len(report.archived)} days archived: {rows:,} rows, {stored:,} bytes; "
        f"{len(report.kept)} days stay; {report.seconds:.1f} s"
    ]
    lines += [f"{kept.day} stays: {kept.reason}" for kept in (*report.kept, *report.faults)]
    return lines + [_restore_line(found) for found in restores]


def _restore_line(found: "DayRestore") -> str:
    until = f" until {found.restored_until:%Y-%m-%d %H:%M}Z" if found.restored_until else ""
    return f"{found.day}  {found.state}{until} ({found.storage_class})"


def _verdict(file: "ArchivedFile", verdict: str, damage: str | None) -> dict[str, Any]:
    return {
        "day": file.day.isoformat(),
        "version": file.version,
        "key": file.key,
        "rows": file.row_count,
        "verdict": verdict,
        "damage": damage,
    }


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        message = f"{text} is no day; write it like 2024-01-02"
        raise ConfigurationError(message) from error


def _progress(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, (date, datetime)) else str(value)
