"""Entry point of the `piston` command.

Each `cli/<group>.py` has `register(app)`, which adds its commands; what a command needs is imported inside
it, so that `piston --help` stays fast. Errors that Piston raises on purpose end as one sentence on
standard error and the error's exit code; anything else is a bug and keeps its traceback.
"""

import sys
from functools import cache
from importlib import import_module

import typer

from telematics.errors import PistonError

GROUPS = (
    "stack", "decode", "ingest", "devices", "dead_letters", "replay", "simulate", "backfill", "archive",
    "evaluate", "search", "serving", "dagster", "demo", "bench",
)  # fmt: skip

app = typer.Typer(
    name="piston",
    help="Live vehicle telemetry: Teltonika frames in, partner answers out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@cache
def build() -> typer.Typer:
    """The app with the commands of every group, each added once however often it is asked for."""
    for group in GROUPS:
        import_module(f"cli.{group}").register(app)
    return app


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        build()()  # typer ends the process: 0, a command's own code, 2 with a usage line, 130 on Ctrl-C
    except PistonError as error:
        print(f"piston: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
