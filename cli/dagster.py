"""Commands of the dagster group."""

import typer


def register(app: typer.Typer) -> None:
    """Add this group's commands."""

    @app.command("dagster")
    def dagster() -> None:
        """Run Dagster's code server, web server and daemon in the foreground, until Ctrl-C or SIGTERM."""
        from orchestration.serve import serve
        from telematics.settings import load_settings

        serve(load_settings(), progress=lambda line: typer.echo(line))
