"""Commands `piston replay ved | verify | compare`: recorded drives to the device port, what came of them."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from telematics.clock import utc_today
from telematics.errors import ConfigurationError, PistonError
from telematics.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulation.replay.run import ReplaySummary
    from simulation.replay.sender import ReplayTotals
    from simulation.replay.source import RecordSource

replay = typer.Typer(
    help="Send recorded drives to the device port, as trackers do; check what arrived.",
    no_args_is_help=True,
)

Fast = Annotated[bool, typer.Option("--fast", help="Everything at once, in packets filled to 1,280 bytes.")]
Speedup = Annotated[
    float | None, typer.Option(min=0.001, help="Recorded spacing divided by this; 1 is as it was driven.")
]
Host = Annotated[str | None, typer.Option(help="The gateway's address; default PISTON_GATEWAY_HOST.")]
Port = Annotated[int | None, typer.Option(help="The device port; default PISTON_GATEWAY_PORT.")]
Register = Annotated[bool, typer.Option(help="Register the devices first.")]
AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]

_REPORT_EVERY_S = 2.0 if sys.stderr.isatty() else 10.0


class StoresDifferError(PistonError):
    """Ledger and stores do not hold the same records."""


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(replay, name="replay")


@replay.command()
def ved(
    folder: Annotated[Path, typer.Argument(help="Folder with VehId_N.tar.zst archives or VehId_N folders.")],
    vehicles: Annotated[str | None, typer.Option(help="Only these, for example 488,455.")] = None,
    fast: Fast = False,
    speedup: Speedup = None,
    end_now: Annotated[
        bool,
        typer.Option("--end-now", help="Move all by the same whole days, so that the last ended yesterday."),
    ] = False,
    host: Host = None,
    port: Port = None,
    register: Register = True,
    as_json: AsJson = False,
) -> None:
    """Replay recordings of the Vehicle Energy Dataset. What was acknowledged before is not sent again."""
    from simulation.replay.run import state_folder
    from simulation.replay.ved_offset import kept_offset
    from simulation.replay.ved_recording import find_recordings, select_recordings
    from simulation.replay.ved_source import VedSource

    settings = load_settings()
    recordings = find_recordings(folder)
    chosen = select_recordings(recordings, _vehicle_ids(vehicles))
    offset_days = kept_offset(state_folder(settings), recordings, utc_today()) if end_now else 0
    sources = [VedSource(recording, offset_days) for recording in chosen]
    send(settings, sources, speedup_of(fast, speedup), host, port, register, as_json)


@replay.command()
def verify(as_json: AsJson = False) -> None:
    """Compare every ledger with all tiers, in both directions; ends with 1 where they differ."""
    from cli.archived_records import ArchivedRecords
    from simulation.replay.reconciliation import devices_of, find_ledgers
    from simulation.replay.reconciliation import verify as verify_ledgers
    from simulation.replay.run import state_folder
    from simulation.replay.stored import Stores

    settings = load_settings()
    ledgers = find_ledgers(state_folder(settings))
    archive = ArchivedRecords(settings, devices_of(ledgers), _tell)
    with Stores.open(settings, archive) as stores:
        found = []
        for each in verify_ledgers(ledgers, stores):
            found.append(each)
            if not as_json:
                verdict = "equal" if each.is_equal else "DIFFERS"
                print(
                    f"{each.name}: {verdict}; sent {each.sent:,}, acknowledged {each.acknowledged:,}, "
                    f"stored {each.stored:,} (hot {each.hot:,}, warm {each.warm:,}, "
                    f"archived {each.archived:,}); "
                    f"missing {each.missing:,}, foreign {each.foreign:,}, "
                    f"doubled {each.doubled:,}, pending {each.pending:,}",
                    flush=True,
                )
    is_equal = all(each.is_equal for each in found)
    if as_json:
        print(json.dumps({"is_equal": is_equal, "devices": [asdict(each) for each in found]}))
    else:
        print(f"{len(found)} devices, {sum(each.acknowledged for each in found):,} records acknowledged")
    if not is_equal:
        message = "the stores do not hold just what was acknowledged, each record once; see the lines above"
        raise StoresDifferError(message)


@replay.command()
def compare(as_json: AsJson = False) -> None:
    """Trips and kilometres of the recorded cars in the warehouse, against what their recordings hold."""
    from rich.console import Console

    from cli import recorded_drives
    from warehouse.clients import clickhouse

    with clickhouse(load_settings()) as warm:
        cars = recorded_drives.compare(warm)
    figures = recorded_drives.figures(cars)
    if as_json:
        print(json.dumps({"figures": figures, "cars": [car._asdict() for car in cars]}))
        return
    console = Console(width=120, highlight=False)
    console.print(recorded_drives.table(cars))
    for name, value in figures.items():
        console.print(f"{name.replace('_', ' ')}: {value:g}")


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _vehicle_ids(text: str | None) -> list[int]:
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError as error:
        message = f"--vehicles {text}: numbers with commas between them, for example 488,455"
        raise ConfigurationError(message) from error


def speedup_of(fast: bool, speedup: float | None) -> float | None:
    """What the two options mean: None is everything at once.

    Raises:
        ConfigurationError: both are given.
    """
    if fast and speedup is not None:
        message = "--fast and --speedup exclude each other"
        raise ConfigurationError(message)
    return None if fast else speedup or 1.0


def send(
    settings: Settings,
    sources: "Sequence[RecordSource]",
    speedup: float | None,
    host: str | None,
    port: int | None,
    is_registering: bool,
    as_json: bool,
) -> None:
    """Send what is left of these sources with progress on standard error, and say how it went.

    Raises:
        PistonError: see `simulation.replay.run.replay`.
    """
    from simulation.replay.progress import progress_line
    from simulation.replay.run import replay as run_replay
    from simulation.replay.sender import Gateway

    is_terminal = sys.stderr.isatty()

    def report(totals: "ReplayTotals", expected: int, elapsed_s: float) -> None:
        line = progress_line(totals, expected, elapsed_s)
        print(
            f"\r{line}\033[K" if is_terminal else line,
            end="" if is_terminal else "\n",
            file=sys.stderr,
            flush=True,
        )

    summary = run_replay(
        settings,
        sources,
        Gateway(host or settings.gateway_host, port or settings.gateway_port),
        speedup=speedup,
        is_registering=is_registering,
        report=report,
        report_every_s=_REPORT_EVERY_S,
    )
    if is_terminal and summary.records_sent:
        print(file=sys.stderr)
    print(json.dumps(asdict(summary)) if as_json else _sentence(summary), flush=True)


def _sentence(summary: "ReplaySummary") -> str:
    if summary.records_sent == 0:
        return (
            f"nothing to send: all {summary.records:,} records of {summary.devices} devices are acknowledged"
        )
    left_out = "".join(f", {count:,} × {name} left out" for name, count in summary.left_out.items())
    return (
        f"{summary.records_sent:,} records of {summary.devices} devices acknowledged "
        f"in {summary.seconds:.1f} s ({summary.packets:,} packets, {summary.resends:,} resent, "
        f"{summary.reconnects:,} reconnects{left_out})"
    )
