"""Commands of the ingest group."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command()(gateway)


def gateway(
    reuse_port: Annotated[
        bool,
        typer.Option(help="Share the port with other gateways of this user: one process a processor."),
    ] = False,
) -> None:
    """Serve devices over TCP until stopped; acknowledges a frame when Kafka has confirmed it."""
    from ingest.gateway.server import run
    from telematics.settings import load_settings

    run(load_settings(), lambda line: print(line, flush=True), reuse_port=reuse_port)
