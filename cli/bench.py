"""`piston bench`: how fast a stage is, as a ratio to the usual way in the same run."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from benchmarks.measuring import Report

_JSON = Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")]
_ROUNDS = Annotated[int, typer.Option(min=3, help="Measurements of each figure; the median counts.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    bench = typer.Typer(no_args_is_help=True, help="Measure a stage against the usual way in the same run.")
    bench.command()(decode)
    bench.command()(sink)
    bench.command()(gateway)
    bench.command("end-to-end")(end_to_end)
    bench.command()(live)
    bench.command()(search)
    bench.command()(warehouse)
    bench.command()(storage)
    app.add_typer(bench, name="bench")


def decode(as_json: _JSON = False, rounds: _ROUNDS = 9) -> None:
    """The batch decoder, checksum included, against a naive decoder; one core, no server."""
    from benchmarks.decode import run

    _print(lambda: run(rounds), as_json)


def sink(as_json: _JSON = False, rounds: _ROUNDS = 5) -> None:
    """Frames to rows in TimescaleDB against COPY row by row with JSONB; starts a server of its own."""
    from benchmarks.sink import run

    _print(lambda: run(rounds), as_json)


def gateway(as_json: _JSON = False, rounds: _ROUNDS = 5) -> None:
    """Frames acknowledged after Kafka, against asyncio streams without a store; starts servers of its own."""
    from benchmarks.gateway import run

    _print(lambda: run(rounds), as_json)


def live(as_json: _JSON = False, rounds: _ROUNDS = 5) -> None:
    """Frames to live state in Valkey against the readable reader; starts a server of its own."""
    from benchmarks.live import run

    _print(lambda: run(rounds), as_json)


def search(as_json: _JSON = False) -> None:
    """Searches through the API over an index of 100,000 vehicles; starts servers of its own."""
    from benchmarks.search import run

    _print(run, as_json)


def warehouse(as_json: _JSON = False, rounds: _ROUNDS = 5) -> None:
    """Day loads against a bare COPY, the daily pipeline, first pages of two years; on servers of its own."""
    from benchmarks.warehouse import run

    _print(lambda: run(rounds), as_json)


def storage(as_json: _JSON = False) -> None:
    """Bytes of a record in every tier and in the blueprint's layout; starts servers of its own."""
    from benchmarks.storage import run

    _print(run, as_json)


def end_to_end(as_json: _JSON = False) -> None:
    """Everything at once, device port to durable rows and live-status; starts servers of its own."""
    from benchmarks.end_to_end import run

    _print(run, as_json)


def _print(run: "Callable[[], Report]", as_json: bool) -> None:
    from orjson import OPT_INDENT_2, dumps

    report = run()
    if as_json:
        print(dumps(report.document(), option=OPT_INDENT_2).decode())
        return
    for name, value in report.figures.items():
        print(f"{name:<44}{value:>16,.3f}")
    for note in report.notes:
        print(note)
