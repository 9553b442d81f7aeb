"""One ranged run of all daily assets, in a process of its own, recorded in the instance like any other run.

    python -m orchestration.launch --from 2025-11-12 --until 2026-11-22

The days are half-open. It is one run for any number of days; a year takes about as long as a few days.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from orchestration.errors import RunFailedError
from orchestration.home import environment_of, home_of, write_home
from telematics.errors import ConfigurationError, PistonError, UnavailableError
from telematics.settings import Settings, load_settings

Progress = Callable[[str], None]

REPOSITORY: Final = Path(__file__).resolve().parent.parent
"""Where child processes start, so that `orchestration` and `dbt_project` are found."""

_ERRORS: Final[dict[int, type[PistonError]]] = {
    ConfigurationError.exit_code: ConfigurationError,
    UnavailableError.exit_code: UnavailableError,
}


def materialize_range(
    settings: Settings,
    first: date,
    until: date,
    with_checks: bool = False,
    progress: Progress = lambda _: None,
) -> float:
    """Materialise every daily asset for the days `first` (inclusive) to `until` (exclusive) in one run.

    Args:
        settings: of the stack whose servers, data folder and Dagster database are used.
        first: first UTC day.
        until: UTC day after the last.
        with_checks: afterwards run all checks once, on the last of the days.
        progress: gets a line for each step that ends, each check that fails and each retry.

    Returns:
        Seconds of the whole process.

    Raises:
        ConfigurationError: the days are not partitions.
        UnavailableError: TimescaleDB does not answer.
        RunFailedError: an asset or a check failed; the message says where its log is.
    """
    started = time.monotonic()
    command = [
        sys.executable, "-m", "orchestration.launch",
        "--from", first.isoformat(), "--until", until.isoformat(),
        *(["--checks"] if with_checks else []),
    ]  # fmt: skip
    last = ""
    with subprocess.Popen(
        command,
        env=environment_of(settings, os.environ),
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stdout or ():
            last = line.rstrip()
            progress(last)
    if process.returncode != 0:
        raise _ERRORS.get(process.returncode, RunFailedError)(last or f"see {log_of(settings)}")
    return time.monotonic() - started


def log_of(settings: Settings) -> Path:
    """What Dagster and dbt print during the last launched run."""
    return home_of(settings) / "launch.log"


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and run; prints the run's steps, and the error's sentence last."""
    parser = argparse.ArgumentParser(prog="python -m orchestration.launch", description=__doc__)
    parser.add_argument("--from", dest="first", type=date.fromisoformat, required=True, help="first day")
    parser.add_argument("--until", type=date.fromisoformat, required=True, help="day after the last")
    parser.add_argument("--checks", action="store_true", help="then run all checks once, on the last day")
    chosen = parser.parse_args(arguments)
    with os.fdopen(os.dup(1), "w", buffering=1) as steps:
        try:
            for line in _run(load_settings(), chosen.first, chosen.until, chosen.checks):
                steps.write(f"{line}\n")
        except PistonError as error:
            steps.write(f"{error}\n")
            sys.exit(error.exit_code)


def _run(settings: Settings, first: date, until: date, with_checks: bool) -> Iterator[str]:
    if first >= until:
        message = f"--from {first} is not before --until {until}"
        raise ConfigurationError(message)
    os.environ.update(environment_of(settings, os.environ))
    write_home(settings)
    # Dagster shows what its steps print, dbt's every line among it, in the process that runs them
    with log_of(settings).open("w") as log:
        os.dup2(log.fileno(), 1)
    # only now: the definitions read the settings, and Dagster its environment, when they are imported
    from orchestration.runs import execute

    yield from execute("refresh_job", first, until)
    if with_checks:
        yield from execute("checks_job", until - timedelta(days=1), until)


if __name__ == "__main__":
    main()
