"""Commands of the ingest group."""

import typer


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
