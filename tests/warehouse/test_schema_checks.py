"""The schema as it is declared passes, and a column changed by hand is named."""

import psycopg
import pytest
from clickhouse_connect.driver.client import Client

from telematics.settings import Settings
from warehouse import schema_checks
from warehouse.schema_checks import declared_hot, declared_warm, differences, judge_schema
from warehouse.steps import STEPS

MART = {"vin": "String", "date": "Date"}


def test_each_kind_of_drift_is_a_sentence() -> None:
    declared = {"a": "String", "b": "Date", "c": "UInt8"}
    assert differences(declared, dict(reversed(declared.items()))) == [], "order is no matter"
    assert differences(declared, {"a": "String", "b": "DateTime", "d": "Bool"}) == [
        "c is missing",
        "d Bool is not declared",
        "b is DateTime, declared Date",
    ]
    assert differences(declared, {}) == ["the table is not there"]


def test_a_verdict_names_the_first_differences_and_counts_them_all() -> None:
    declared = {f"c{n}": "String" for n in range(20)}
    result = judge_schema({"t": declared}, {"t": {"x": "String"}})
    assert not result.passed
    assert result.numbers["differences"] == 21
    assert result.description.startswith("t: c0 is missing; t: c1 is missing")
    assert result.description.endswith("and 13 more")


def test_both_tiers_declare_the_same_records() -> None:
    assert declared_warm().keys() - declared_hot().keys() == {
        "origin",
        "dtc_known",
        "stated",
        *(step.kept for step in STEPS),
    }
    assert not declared_hot().keys() - declared_warm().keys()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("fault", "repair", "named"),
    [
        ("add column altitude_m real", "drop column altitude_m", "altitude_m real is not declared"),
        (
            "rename column harsh_value to harsh",
            "rename column harsh to harsh_value",
            "harsh_value is missing; TimescaleDB telemetry: harsh real is not declared",
        ),
    ],
)
def test_a_changed_hot_column_is_named(
    stack: Settings, hot: psycopg.Connection, fault: str, repair: str, named: str
) -> None:
    assert schema_checks.schema(stack, {}).passed
    hot.execute(f"alter table telemetry {fault}")
    try:
        result = schema_checks.schema(stack, {})
    finally:
        hot.execute(f"alter table telemetry {repair}")
    assert not result.passed
    assert f"TimescaleDB telemetry: {named}" in result.description
    assert schema_checks.schema(stack, {}).passed


@pytest.mark.integration
@pytest.mark.parametrize(
    ("fault", "repair", "named"),
    [
        ("add column altitude_yd Float32", "drop column altitude_yd", "altitude_yd Float32 is not declared"),
        (
            "modify column priority Nullable(Int32)",
            "modify column priority Nullable(Int16)",
            "priority is Nullable(Int32), declared Nullable(Int16)",
        ),
    ],
)
def test_a_changed_warm_column_is_named(
    stack: Settings, warm: Client, fault: str, repair: str, named: str
) -> None:
    warm.command(f"alter table analytics.telemetry {fault}")
    try:
        result = schema_checks.schema(stack, {})
    finally:
        warm.command(f"alter table analytics.telemetry {repair}")
    assert not result.passed
    assert f"ClickHouse telemetry: {named}" in result.description
    assert schema_checks.schema(stack, {}).passed


@pytest.mark.integration
def test_a_changed_mart_is_named_and_one_that_was_never_built_is_not(stack: Settings, warm: Client) -> None:
    declared = {"schema_probe": MART}
    absent = schema_checks.schema(stack, declared)
    assert absent.passed
    assert absent.numbers["tables_not_built_yet"] == 1
    warm.command(
        "create table analytics.schema_probe (vin String, date Date) engine = MergeTree order by vin"
    )
    try:
        assert schema_checks.schema(stack, declared).passed
        warm.command("alter table analytics.schema_probe drop column date")
        result = schema_checks.schema(stack, declared)
    finally:
        warm.command("drop table analytics.schema_probe sync")
    assert not result.passed
    assert result.description == "schema_probe: date is missing"
