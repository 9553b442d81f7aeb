"""Whether tables have the columns that the project says they have: the live schema against the declared one.

What is declared: `warehouse.columns` for `telemetry` in both tiers, and dbt's contracts for the marts, which
the caller brings. A column that somebody added, dropped or retyped by hand shows here before a load or a
model trips over it.
"""

from collections.abc import Mapping
from typing import Final

from telematics.names import ANALYTICS_DATABASE
from telematics.settings import Settings
from warehouse import clients, columns
from warehouse.checks import CheckResult, Number
from warehouse.steps import STEPS
from warehouse.stored import STATED, STATED_TYPE

Columns = Mapping[str, str]
"""Types by column name."""

HOT_TABLE: Final = "TimescaleDB telemetry"
WARM_TABLE: Final = "ClickHouse telemetry"
MAX_NAMED: Final = 8
"""Differences that a verdict names; it counts the others."""

_HOT_TYPES: Final = {
    "DateTime64(3, 'UTC')": "timestamp with time zone",
    "String": "text",
    "Float64": "double precision",
    "Float32": "real",
    "Int16": "smallint",
    "Int32": "integer",
    "Int64": "bigint",
    "Bool": "boolean",
}
"""PostgreSQL's type of a value that ClickHouse reads as the key."""
_HOT_OWN: Final = {"vin": "text", "dtc_codes": "text[]", "raw_data": "jsonb"}
"""Columns that cross as text."""
_WARM_OWN: Final = {
    "vin": "String",
    "origin": "LowCardinality(String)",
    "dtc_known": "Bool",
    "dtc_codes": "Array(LowCardinality(String))",
    "odometer_source": "LowCardinality(Nullable(String))",
    "raw_data": "String",
    STATED: STATED_TYPE,
}
"""Columns that are stored otherwise than they cross, or that only ClickHouse has."""


def declared_hot() -> Columns:
    """The columns of TimescaleDB's `telemetry`, as `warehouse.columns` needs them."""
    plain = {
        column.name: _HOT_TYPES[_without_null(column.wire_type)]
        for column in columns.COPIED
        if column.name not in _HOT_OWN
    }
    return plain | _HOT_OWN


def declared_warm() -> Columns:
    """The columns of ClickHouse's `telemetry`: those of `warehouse.columns`, and what is kept of them."""
    kept = {step.kept: f"Nullable({step.kept_type})" for step in STEPS}
    return {column.name: column.wire_type for column in columns.COPIED} | _WARM_OWN | kept


def schema(settings: Settings, marts: Mapping[str, Columns]) -> CheckResult:
    """Each table has exactly the declared columns with the declared types.

    Args:
        settings: where the stores are.
        marts: declared columns of tables in ClickHouse, by table. One that was not built yet is left out.

    Raises:
        UnavailableError: a store does not answer.
    """
    with clients.timescale(settings) as connection:
        hot = connection.execute(
            """
            select attname, format_type(atttypid, atttypmod) from pg_attribute
            where attrelid = to_regclass('public.telemetry') and attnum > 0 and not attisdropped
            """
        ).fetchall()
    with clients.clickhouse(settings) as client:
        rows = client.query(
            "select table, name, type from system.columns where database = {database:String} "
            "and table in {tables:Array(String)}",
            parameters={"database": ANALYTICS_DATABASE, "tables": ["telemetry", *marts]},
        ).result_rows
    live: dict[str, dict[str, str]] = {}
    for table, name, kind in rows:
        live.setdefault(table, {})[name] = kind
    warm = live.pop("telemetry", {})
    declared = {HOT_TABLE: declared_hot(), WARM_TABLE: declared_warm()}
    return judge_schema(
        declared | {table: marts[table] for table in live},
        {HOT_TABLE: dict(hot), WARM_TABLE: warm, **live},
        absent_count=len(marts.keys() - live.keys()),
    )


def judge_schema(
    declared: Mapping[str, Columns], live: Mapping[str, Columns], absent_count: int = 0
) -> CheckResult:
    """The verdict of `schema`, over the same tables on both sides."""
    found = [
        f"{table}: {difference}"
        for table in declared
        for difference in differences(declared[table], live[table])
    ]
    numbers: dict[str, Number] = {
        "tables": len(declared),
        "tables_not_built_yet": absent_count,
        "columns": sum(len(each) for each in declared.values()),
        "differences": len(found),
    }
    if not found:
        return CheckResult(True, f"{len(declared)} tables have the columns that are declared", numbers)
    more = f"; and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
    return CheckResult(False, "; ".join(found[:MAX_NAMED]) + more, numbers)


def differences(declared: Columns, live: Columns) -> list[str]:
    """What is not as declared, one sentence a column."""
    if not live:
        return ["the table is not there"]
    lost = [f"{name} is missing" for name in declared if name not in live]
    new = [f"{name} {live[name]} is not declared" for name in live if name not in declared]
    retyped = [
        f"{name} is {live[name]}, declared {kind}"
        for name, kind in declared.items()
        if name in live and live[name] != kind
    ]
    return lost + new + retyped


def _without_null(kind: str) -> str:
    return kind.removeprefix("Nullable(").removesuffix(")") if kind.startswith("Nullable(") else kind
