"""Entry point of the `piston` command.

Each `cli/<group>.py` has `register(app)`, which adds its commands; what a command needs is imported inside
it, so that `piston --help` stays fast. Errors that Piston raises on purpose end as one sentence on
standard error and the error's exit code; anything else is a bug and keeps its traceback.
"""

import sys
from importlib import import_module

import click
import typer

from telematics.errors import PistonError

GROUPS = ("stack", "decode", "ingest", "devices", "replay", "warehouse", "serving", "dagster", "demo")

app = typer.Typer(
    name="piston",
    help="Live vehicle telemetry: Teltonika frames in, partner answers out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def build() -> typer.Typer:
    """The app with the commands of every group."""
    for group in GROUPS:
        import_module(f"cli.{group}").register(app)
    return app


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        code = build()(standalone_mode=False)
    except PistonError as error:
        print(f"piston: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.exceptions.Abort, KeyboardInterrupt):
        print("piston: interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
