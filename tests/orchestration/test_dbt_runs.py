"""What DbtRuns leans on inside dagster-dbt, and its parse cache."""

import inspect
import os
import subprocess
import sys
import time
from functools import cached_property
from pathlib import Path

import dbt.version
from dagster_dbt import DbtCliResource
from dagster_dbt.core import dbt_cli_invocation

from orchestration import tied
from orchestration.dbt_assets import day_flags, resources
from orchestration.dbt_runs import PARSE_CACHE, bring_parse_cache, forget_old_runs, keep_parse_cache
from orchestration.serve import is_alive


def test_dagster_dbt_still_has_what_is_overridden():
    assert isinstance(inspect.getattr_static(DbtCliResource, "_cli_version"), cached_property)
    assert list(inspect.signature(DbtCliResource._initialize_dbt_core_adapter).parameters) == ["self", "args"]
    assert dbt_cli_invocation.PARTIAL_PARSE_FILE_NAME == PARSE_CACHE


def test_the_version_is_the_installed_one():
    runs = resources()
    assert {name: str(run._cli_version) for name, run in runs.items()} == {
        "dbt_timescale_runs": dbt.version.__version__,
        "dbt_clickhouse_runs": dbt.version.__version__,
    }


def test_dbt_ends_with_the_process_that_started_it():
    """Killed in whatever way: the kernel sees to it."""
    sleeper = [
        sys.executable,
        tied.__file__,
        sys.executable,
        "-c",
        "import time; print(1, flush=True); time.sleep(60)",
    ]
    starter = f"""
import subprocess, time
child = subprocess.Popen({sleeper!r}, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert is_alive(pid)
        process.kill()
    deadline = time.monotonic() + 5
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_alive(pid)


def test_the_program_is_dbt_and_gets_its_arguments():
    runs = resources()["dbt_clickhouse_runs"]
    command = [runs.dbt_executable, *runs.global_config_flags, "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert dbt.version.__version__ in said


def test_days_are_flags_that_do_not_spoil_the_parse_cache():
    from datetime import date

    flags = day_flags(date(2026, 1, 31), date(2026, 2, 1))
    assert flags == ["--event-time-start", "2026-01-31", "--event-time-end", "2026-02-01"]


def test_the_first_parse_cache_that_exists_is_brought(tmp_path: Path):
    clone, run = tmp_path / "clone", tmp_path / "run"
    clone.write_bytes(b"made with the manifest")
    run.mkdir()
    bring_parse_cache([tmp_path / "missing", clone], run)
    assert (run / PARSE_CACHE).read_bytes() == b"made with the manifest"
    keep_parse_cache(run, tmp_path)
    assert (tmp_path / PARSE_CACHE).read_bytes() == b"made with the manifest"


def test_only_the_newest_runs_are_kept(tmp_path: Path):
    (tmp_path / PARSE_CACHE).write_bytes(b"x")
    for number in range(5):
        (tmp_path / f"run-{number}").mkdir()
        os.utime(tmp_path / f"run-{number}", (number, number))
    forget_old_runs(tmp_path, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [PARSE_CACHE, "run-3", "run-4"]
