"""Commands of the replay group."""

import typer


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
