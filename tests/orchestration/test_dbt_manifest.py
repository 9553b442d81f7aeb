import json
from pathlib import Path

import pytest

from orchestration.dbt_manifest import (
    PROJECT,
    TARGETS,
    digest_of,
    ensure_manifest,
    source_columns,
    source_files,
)
from warehouse import columns


def test_what_dbt_made_is_not_a_source():
    files = source_files()
    assert PROJECT / "dbt_project.yml" in files
    assert not [path for path in files if "target" in path.relative_to(PROJECT).parts]


def test_the_digest_notices_contents_names_and_surroundings(tmp_path: Path):
    model = tmp_path / "trips.sql"
    model.write_text("select 1")
    digests = {digest_of(tmp_path, [model], ["dbt-core=1"])}
    digests.add(digest_of(tmp_path, [model], ["dbt-core=2"]))
    model.write_text("select 2")
    digests.add(digest_of(tmp_path, [model], ["dbt-core=1"]))
    digests.add(digest_of(tmp_path, [model.rename(tmp_path / "journeys.sql")], ["dbt-core=1"]))
    assert len(digests) == 4


@pytest.mark.parametrize("target", TARGETS)
def test_a_current_manifest_is_not_made_again(target: str):
    path = ensure_manifest(target)
    made = path.stat().st_mtime_ns
    assert ensure_manifest(target) == path
    assert path.stat().st_mtime_ns == made
    assert json.loads(path.read_text())["metadata"]["adapter_type"] == {
        "timescale": "postgres", "clickhouse": "clickhouse"
    }[target]  # fmt: skip


def test_every_column_of_the_records_is_described():
    stored = {column.name for column in columns.COPIED} | {*columns.RESOLVED, *columns.DERIVED}
    said = source_columns("clickhouse", "telemetry")
    assert said.keys() == stored
    assert all(said.values())
