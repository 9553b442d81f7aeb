"""One run of the daily job for one day, in this process; prints its stages as a JSON object.

    python -m benchmarks.daily_run --day 2026-11-25

It is what Dagster's run launcher starts for the daily schedule: a fresh process that imports the code
location, executes the run with all its checks, and ends. Its settings and DAGSTER_HOME come from the
environment; dbt's own seconds, model by model, from the results that dbt leaves beside its logs.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from orchestration.home import home_of, write_home
from telematics.settings import load_settings

_JOB: Final = "daily_job"
_RESULTS: Final = "run_results.json"


def main() -> None:
    """Run the job; the log of Dagster and dbt goes to the standard error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--day", type=date.fromisoformat, required=True, help="the UTC day")
    day: date = parser.parse_args().day
    write_home(load_settings())
    with os.fdopen(os.dup(1), "w") as result:
        os.dup2(sys.stderr.fileno(), 1)  # steps print, and the answer has to stand alone
        result.write(json.dumps(_run(day)))


def _run(day: date) -> dict[str, Any]:
    # only now: the definitions read the settings, and Dagster its environment, when they are imported
    import dagster as dg

    from orchestration.runs import execute

    lines = [*execute(_JOB, (day, day + timedelta(days=1)))]
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_run_records(dg.RunsFilter(job_name=_JOB), limit=1)
        steps = instance.get_run_step_stats(run.dagster_run.run_id)
    settings = load_settings()
    return {
        "lines": lines,
        "run_s": (run.end_time or 0) - (run.start_time or 0),
        "steps": {
            step.step_key: (step.end_time or 0) - (step.start_time or 0)
            for step in steps
            if step.start_time and step.end_time
        },
        "nodes": dict(_dbt_nodes(home_of(settings) / "dbt")),
    }


def _dbt_nodes(runs: Path) -> Iterator[tuple[str, float]]:
    """What each model and test took, in seconds, from all of dbt's runs below a folder."""
    for path in sorted(runs.glob(f"*/*/{_RESULTS}")):
        for result in json.loads(path.read_text())["results"]:
            yield result["unique_id"], float(result["execution_time"])


if __name__ == "__main__":
    main()
