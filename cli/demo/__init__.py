"""`piston demo`: from nothing to the running system, then a summary."""

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def demo() -> None:
        """Install, start, drive through the device port, load a history, build, train, score, ask the API."""
        from cli.demo.run import run

        run()
