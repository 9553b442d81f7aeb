"""One run of a job, in a process of its own, recorded in the instance like any other run.

    python -m orchestration.launch --from 2025-11-12 --until 2026-11-22
    python -m orchestration.launch --job backfill_job --folder FOLDER
    python -m orchestration.launch --job features_job --from 2024-11-25 --until 2026-11-26
    python -m orchestration.launch --job training_job

Without --job it is all daily assets. The days are half-open. It is one run for any number of days; a year
takes about as long as a few days.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from orchestration.errors import RunFailedError
from orchestration.home import environment_of, home_of, write_home
from telematics.errors import ConfigurationError, PistonError, UnavailableError
from telematics.settings import Settings, load_settings

Progress = Callable[[str], None]

RANGED_JOBS: Final = ("refresh_job", "features_job")
"""Jobs about a range of days."""
JOBS: Final = (*RANGED_JOBS, "backfill_job", "training_job", "scoring_job")
"""Jobs that can be launched from here."""

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
    days = ["--from", first.isoformat(), "--until", until.isoformat()]
    _launch(settings, [*days, *(["--checks"] if with_checks else [])], progress)
    return time.monotonic() - started


def run_job(
    settings: Settings,
    job: str,
    days: tuple[date, date] | None = None,
    folder: Path | None = None,
    progress: Progress = lambda _: None,
) -> float:
    """Run one of `JOBS` in a process of its own.

    Args:
        settings: as in `materialize_range`.
        job: the job's name.
        days: first day and the day after the last, of a job in `RANGED_JOBS`; None of any other.
        folder: what `backfill_job` loads.
        progress: gets a line for each step that ends, each check that fails and each retry.

    Returns:
        Seconds of the whole process.

    Raises:
        ConfigurationError: no such job, or it lacks its days or folder, or has what it does not take.
        UnavailableError: TimescaleDB does not answer.
        RunFailedError: an asset or a check failed; the message says where its log is.
    """
    started = time.monotonic()
    arguments = ["--job", job]
    if days is not None:
        arguments += ["--from", days[0].isoformat(), "--until", days[1].isoformat()]
    if folder is not None:
        arguments += ["--folder", str(folder.absolute())]
    _launch(settings, arguments, progress)
    return time.monotonic() - started


def _launch(settings: Settings, arguments: Sequence[str], progress: Progress) -> None:
    command = [sys.executable, "-m", "orchestration.launch", *arguments]
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


def log_of(settings: Settings) -> Path:
    """What Dagster and dbt print during the last launched run."""
    return home_of(settings) / "launch.log"


@dataclass(frozen=True, slots=True)
class Order:
    """What to run."""

    job: str
    days: tuple[date, date] | None = None
    folder: Path | None = None
    with_checks: bool = False

    def __post_init__(self) -> None:
        """Refuse what the job cannot use.

        Raises:
            ConfigurationError: no such job, or it lacks its days or folder, or has what it does not take.
        """
        if self.job not in JOBS:
            message = f"--job {self.job}: there are {', '.join(JOBS)}"
            raise ConfigurationError(message)
        if self.days is None and self.job in RANGED_JOBS:
            message = f"{self.job} is about days: give --from and --until"
            raise ConfigurationError(message)
        if self.days is not None and self.job not in RANGED_JOBS:
            message = f"{self.job} is not about days: leave --from and --until out"
            raise ConfigurationError(message)
        if self.days is not None and self.days[0] >= self.days[1]:
            message = f"--from {self.days[0]} is not before --until {self.days[1]}"
            raise ConfigurationError(message)
        if (self.folder is None) is (self.job == "backfill_job"):
            message = "--folder is what backfill_job loads: that job needs it, and no other takes it"
            raise ConfigurationError(message)
        if self.with_checks and self.days is None:
            message = f"--checks looks at the last of the days, and {self.job} is about none"
            raise ConfigurationError(message)


def parse(arguments: Sequence[str] | None = None) -> Order:
    """The order that a command line gives.

    Raises:
        ConfigurationError: its parts contradict each other.
    """
    parser = argparse.ArgumentParser(
        prog="python -m orchestration.launch",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--job", default="refresh_job", help=f"one of {', '.join(JOBS)}")
    parser.add_argument("--from", dest="first", type=date.fromisoformat, help="first day")
    parser.add_argument("--until", type=date.fromisoformat, help="day after the last")
    parser.add_argument("--folder", type=Path, help="what backfill_job loads")
    parser.add_argument("--checks", action="store_true", help="then run all checks once, on the last day")
    chosen = parser.parse_args(arguments)
    if (chosen.first is None) is not (chosen.until is None):
        message = "--from and --until belong together"
        raise ConfigurationError(message)
    days = None if chosen.first is None else (chosen.first, chosen.until)
    return Order(chosen.job, days, chosen.folder, chosen.checks)


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and run; prints the run's steps, and the error's sentence last."""
    with os.fdopen(os.dup(1), "w", buffering=1) as steps:
        try:
            for line in _run(load_settings(), parse(arguments)):
                steps.write(f"{line}\n")
        except PistonError as error:
            steps.write(f"{error}\n")
            sys.exit(error.exit_code)


def _run(settings: Settings, order: Order) -> Iterator[str]:
    os.environ.update(environment_of(settings, os.environ))
    write_home(settings)
    # Dagster shows what its steps print, dbt's every line among it, in the process that runs them
    with log_of(settings).open("w") as log:
        os.dup2(log.fileno(), 1)
    # only now: the definitions read the settings, and Dagster its environment, when they are imported
    from orchestration.jobs import backfill_configuration
    from orchestration.runs import execute

    yield from execute(order.job, order.days, backfill_configuration(order.folder) if order.folder else None)
    if order.with_checks and order.days:
        until = order.days[1]
        yield from execute("checks_job", (until - timedelta(days=1), until))


if __name__ == "__main__":
    main()
