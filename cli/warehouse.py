"""Commands of the warehouse group."""

import typer


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
