"""Commands of the ingest group."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command()(gateway)
    app.command()(sink)
    app.command()(live)


def gateway(
    processes: Annotated[
        int | None,
        typer.Option(min=1, max=256, help="Gateways on the one port; default PISTON_GATEWAY_PROCESSES."),
    ] = None,
    reuse_port: Annotated[
        bool,
        typer.Option(help="Share the port with other gateways of this user that are started apart."),
    ] = False,
    is_tied: Annotated[bool, typer.Option("--tied", hidden=True)] = False,
) -> None:
    """Serve devices over TCP and UDP until stopped; acknowledges a frame when Kafka has confirmed it."""
    from ingest.gateway.processes import run_processes
    from ingest.gateway.run import run
    from telematics.settings import load_settings

    settings = load_settings()
    count = processes or settings.gateway_processes

    def announce(line: str) -> None:
        print(line, flush=True)

    if count > 1:
        raise typer.Exit(run_processes(settings, count, announce))
    run(settings, announce, reuse_port=reuse_port, is_tied=is_tied)


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
