"""A column of another type than its contract says breaks the build of every mart, on both engines."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from orchestration.dbt_manifest import DBT, PROJECT, ensure_manifest
from orchestration.home import environment_of
from telematics.settings import Settings
from tests.dbt_project.conftest import Sandbox

pytestmark = pytest.mark.integration

OTHER_TYPES = {"clickhouse": "Array(UUID)", "timescale": "json"}
"""Types that no column has."""


def promised(target: str) -> dict[str, Path]:
    """The models with a contract, and their text below the project."""
    nodes = json.loads(ensure_manifest(target).read_text())["nodes"].values()
    return {
        node["name"]: Path(node["patch_path"].split("://")[1])
        for node in nodes
        if node["resource_type"] == "model" and node["contract"]["enforced"]
    }


def broken_project(folder: Path, target: str) -> Path:
    """A copy of the project in which the last column of every contract has another type."""
    project = folder / "dbt_project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target*", "logs"))
    for path in promised(target).values():
        text = (project / path).read_text()
        last = list(re.finditer(r"(?<=data_type: ).*", text))[-1]
        (project / path).write_text(text[: last.start()] + OTHER_TYPES[target] + text[last.end() :])
    return project


def failures(project: Path, target: str, models: set[str], environment: dict[str, str]) -> dict[str, str]:
    """Build models; what each that failed says."""
    target_path = project.parent / "target"
    subprocess.run(
        [
            str(DBT), "run", "--target", target, "--project-dir", str(project), "--profiles-dir",
            str(project), "--target-path", str(target_path), "--log-path", str(target_path), "--select",
            *sorted(models),
        ],
        env=environment, cwd=project, check=False, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    results = json.loads((target_path / "run_results.json").read_text())["results"]
    return {
        result["unique_id"].split(".")[-1]: result["message"]
        for result in results
        if result["status"] == "error"
    }


def test_no_mart_is_built_against_its_contract_in_clickhouse(sandbox: Sandbox, tmp_path: Path):
    project, models = broken_project(tmp_path, "clickhouse"), set(promised("clickhouse"))
    _, environment = sandbox.command("run")
    # what reads a mart is skipped when that fails, so it is built by itself
    readers = {"vehicle_analytics", "vehicle_local_days", "ftr_component_days"}
    assert readers < models
    before = sandbox.content()
    said = failures(project, "clickhouse", models - readers, environment)
    said |= failures(project, "clickhouse", readers, environment)
    assert set(said) == models
    assert all("contract" in message.lower() for message in said.values())
    assert sandbox.content() == before


def test_the_hours_are_not_built_against_their_contract_in_timescaledb(stack: Settings, tmp_path: Path):
    project = broken_project(tmp_path, "timescale")
    said = failures(project, "timescale", {"telemetry_hourly"}, environment_of(stack, os.environ))
    assert list(said) == ["telemetry_hourly"]
    assert "contract" in said["telemetry_hourly"].lower()
