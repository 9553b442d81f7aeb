"""Command lines of `python -m orchestration.launch`, without a run."""

from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from orchestration.definitions import defs
from orchestration.jobs import QUIET, backfill_configuration
from orchestration.launch import JOBS, Order, parse
from telematics.errors import ConfigurationError

DAYS = (date(2026, 1, 5), date(2026, 2, 1))
RANGE = ["--from", "2026-01-05", "--until", "2026-02-01"]


@pytest.mark.parametrize(
    ("arguments", "order"),
    [
        (RANGE, Order("refresh_job", DAYS)),
        ([*RANGE, "--checks"], Order("refresh_job", DAYS, with_checks=True)),
        (["--job", "features_job", *RANGE], Order("features_job", DAYS)),
        (["--job", "training_job"], Order("training_job")),
        (["--job", "scoring_job"], Order("scoring_job")),
        (["--job", "backfill_job", "--folder", "/f"], Order("backfill_job", folder=Path("/f"))),
    ],
)
def test_a_command_line_is_an_order(arguments: list[str], order: Order):
    assert parse(arguments) == order


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "refresh_job is about days: give --from and --until"),
        (["--job", "features_job"], "features_job is about days"),
        (["--job", "training_job", *RANGE], "training_job is not about days"),
        (["--from", "2026-01-05"], "--from and --until belong together"),
        (["--from", "2026-01-05", "--until", "2026-01-05"], "--from 2026-01-05 is not before"),
        (["--job", "backfill_job"], "--folder is what backfill_job loads"),
        (["--job", "scoring_job", "--folder", "/f"], "--folder is what backfill_job loads"),
        (["--job", "training_job", "--checks"], "--checks looks at the last of the days"),
        (["--job", "no_job"], "--job no_job: there are refresh_job"),
    ],
)
def test_a_contradiction_is_refused_with_a_sentence(arguments: list[str], sentence: str):
    with pytest.raises(ConfigurationError, match=sentence):
        parse(arguments)


@pytest.mark.parametrize("job", JOBS)
def test_every_job_that_can_be_launched_takes_the_configuration_that_it_is_given(job: str):
    configuration = backfill_configuration(Path("/f")) if job == "backfill_job" else {}
    assert dg.validate_run_config(defs.resolve_job_def(job), {**QUIET, **configuration})


def test_the_folder_reaches_the_asset_that_loads_it():
    configuration = backfill_configuration(Path("/f"))
    [operation] = configuration["ops"]
    assert operation in {node.name for node in defs.resolve_job_def("backfill_job").nodes}
    assert configuration["ops"][operation]["config"]["folder"] == "/f"
