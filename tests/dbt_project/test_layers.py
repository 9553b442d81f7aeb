"""Rules that every model keeps, read from dbt's manifests of both targets."""

import json

import pytest

from orchestration.dbt_manifest import TARGETS, ensure_manifest

MAY_READ = {
    "staging": {"source"},
    "intermediate": {"staging", "intermediate"},
    "marts": {"staging", "intermediate", "marts"},
    "features": {"staging", "intermediate", "marts"},
}
"""telemetry_hourly is so thin that nothing stands between its staging and itself."""
EXCEPTIONS = {("telemetry_hourly", "day_loads"), ("telemetry_hourly", "warm_hour_days")}
"""Its hook locks the first, so that no day leaves the hot tier between its delete and its insert, and asks
the second which hours to delete."""


def _manifest(target: str) -> dict:
    return json.loads(ensure_manifest(target).read_text())


def _models(target: str) -> list[dict]:
    return [node for node in _manifest(target)["nodes"].values() if node["resource_type"] == "model"]


def _layer(node: dict) -> str:
    return "source" if node["resource_type"] == "source" else node["fqn"][2]


@pytest.mark.parametrize("target", TARGETS)
def test_models_read_only_from_the_layers_below(target: str):
    manifest = _manifest(target)
    everything = manifest["nodes"] | manifest["sources"]
    broken = [
        f"{node['name']} ({_layer(node)}) reads {everything[parent]['name']} ({_layer(everything[parent])})"
        for node in _models(target)
        for parent in node["depends_on"]["nodes"]
        if _layer(everything[parent]) not in MAY_READ[_layer(node)]
        and (node["name"], everything[parent]["name"]) not in EXCEPTIONS
    ]
    assert broken == []


@pytest.mark.parametrize("target", TARGETS)
def test_names_tell_the_layer(target: str):
    for node in _models(target):
        prefix = {"staging": "stg_", "intermediate": "int_", "features": "ftr_"}.get(_layer(node))
        if prefix:
            assert node["name"].startswith(prefix), node["name"]
        else:
            assert not node["name"].startswith(("stg_", "int_", "ftr_")), node["name"]


@pytest.mark.parametrize("target", TARGETS)
def test_every_model_states_its_grain(target: str):
    for node in _models(target):
        assert node["description"].startswith("One row per "), node["name"]
        assert node["patch_path"].endswith(f"{node['name']}.yml"), "the text stands beside the model"


@pytest.mark.parametrize("target", TARGETS)
def test_marts_have_contracts_and_a_tested_key(target: str):
    manifest = _manifest(target)
    keyed = {
        test["attached_node"]
        for test in manifest["nodes"].values()
        if (test.get("test_metadata") or {}).get("name") == "one_row_per"
    }
    marts = [node for node in _models(target) if _layer(node) in ("marts", "features")]
    assert marts
    for node in marts:
        assert node["contract"]["enforced"], node["name"]
        assert node["unique_id"] in keyed, node["name"]
        assert all(column["data_type"] for column in node["columns"].values()), node["name"]


def test_the_blueprints_columns_come_first_with_its_types():
    [analytics] = [node for node in _models("clickhouse") if node["name"] == "vehicle_analytics"]
    columns = [(column["name"], column["data_type"]) for column in analytics["columns"].values()]
    assert columns[:8] == [
        ("date", "Date"),
        ("vin", "String"),
        ("total_miles", "UInt32"),
        ("avg_speed", "Float32"),
        ("hard_brakes", "UInt16"),
        ("hard_accels", "UInt16"),
        ("dtc_count", "UInt16"),
        ("trip_count", "UInt16"),
    ]
    config = analytics["config"]
    assert (config["engine"], config["partition_by"], config["order_by"]) == (
        "MergeTree()", "toYYYYMM(date)", "(vin, date)"
    )  # fmt: skip
    [hourly] = [node for node in _models("timescale") if node["name"] == "telemetry_hourly"]
    assert list(hourly["columns"]) == [
        "bucket", "device_id", "vin", "avg_speed", "miles_driven", "data_points"
    ]  # fmt: skip


def test_tables_that_are_rebuilt_by_day_say_which_days():
    rebuilt = [node for node in _models("clickhouse") if node["config"]["materialized"] == "incremental"]
    assert rebuilt
    for node in rebuilt:
        meta = node["config"]["meta"]
        assert node["config"]["incremental_strategy"] == "insert_overwrite", node["name"]
        assert node["config"]["partition_by"] == f"toYYYYMM({meta['day_column']})", node["name"]
        assert meta["days_before"] >= 0
        assert meta["days_after"] >= 0
        if "trip" in node["name"] or "start" in node["name"]:
            assert meta["days_before"] >= 1, f"{node['name']}: trips run past midnight"
