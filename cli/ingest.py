"""Commands of the ingest group."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command()(gateway)
    app.command()(sink)
    app.command()(live)


def gateway(
    reuse_port: Annotated[
        bool,
        typer.Option(help="Share the port with other gateways of this user: one process a processor."),
    ] = False,
) -> None:
    """Serve devices over TCP until stopped; acknowledges a frame when Kafka has confirmed it."""
    from ingest.gateway.run import run
    from telematics.settings import load_settings

    run(load_settings(), lambda line: print(line, flush=True), reuse_port=reuse_port)


def sink(
    reference_decoder: Annotated[
        bool, typer.Option(help="Decode with the plain reference instead of compiled code: slow, same rows.")
    ] = False,
) -> None:
    """Store frames in TimescaleDB until stopped: rows, dead letters and offsets in one transaction."""
    from ingest.logs import configure
    from ingest.sink.run import run_sink
    from ingest.stream.consumer import stop_on_signals
    from telematics.settings import load_settings

    settings = load_settings()
    configure(settings.log_level)
    with stop_on_signals() as stop:
        run_sink(settings, stop, is_reference=reference_decoder)


def live() -> None:
    """Keep the newest state of every vehicle in Redis until stopped."""
    from ingest.live.run import run_live
    from ingest.logs import configure
    from ingest.stream.consumer import stop_on_signals
    from telematics.settings import load_settings

    settings = load_settings()
    configure(settings.log_level)
    with stop_on_signals() as stop:
        run_live(settings, stop)
