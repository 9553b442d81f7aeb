"""`piston search-feed` and `piston search-rebuild`: the index of vehicles kept fresh, and made anew."""

import json
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("search-feed")(search_feed)
    app.command("search-rebuild")(search_rebuild)


def search_feed() -> None:
    """Write changed live states into the search index every few seconds until stopped."""
    from ingest.logs import configure
    from ingest.stream.consumer import stop_on_signals
    from telematics.settings import load_settings
    from warehouse.search import run_feeder

    settings = load_settings()
    configure(settings.log_level)
    with stop_on_signals() as stop:
        run_feeder(settings, stop)


def search_rebuild(
    as_json: Annotated[bool, typer.Option("--json", help="Machine output on standard output.")] = False,
) -> None:
    """Build a new search index of every vehicle and put it in the old one's place (Dagster does so daily)."""
    from dataclasses import asdict

    from telematics.clock import utc_today
    from telematics.settings import load_settings
    from warehouse.search import rebuild

    report = rebuild(load_settings(), utc_today(), progress=lambda line: typer.echo(line, err=True))
    if as_json:
        print(json.dumps(asdict(report), default=str))
        return
    print(
        f"{report.index}: {report.document_count:,} vehicles, {report.located_count:,} with a position, "
        f"{report.index_bytes / 1e6:.1f} MB, in {report.seconds:.1f} s"
    )
