"""Both dbt targets as assets."""

import sys
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject, dbt_assets

from orchestration import tied
from orchestration.archive import refuse_archived
from orchestration.dbt_manifest import DBT, PROJECT, TARGETS, ensure_manifest, target_path
from orchestration.dbt_metadata import SCHEMAS, ModelMetadata
from orchestration.dbt_runs import DbtRuns
from orchestration.faults import told_apart
from orchestration.loads import OWNERS
from orchestration.partitions import DAYS, ONE_RUN, days_of
from telematics import names
from telematics.settings import Settings
from warehouse import warm_hours

MARTS_POOL: Final = "clickhouse_marts"
"""One writer per month of a mart: two runs on one month would undo each other's days."""
HOURLY_POOL: Final = "timescale_marts"

COMPONENT_SIGNALS: Final = dg.AssetKey([names.ANALYTICS_DATABASE, "component_day_signals"])
COMPONENT_FEATURES: Final = dg.AssetKey([names.ANALYTICS_DATABASE, "ftr_component_days"])
FEATURE_MODELS: Final = frozenset(
    {"int_engine_starts_measured", "component_day_signals", "ftr_component_days"}
)
"""dbt's models that training and scoring read, and what only they are made from."""

_KINDS: Final = {"clickhouse": "clickhouse", "timescale": "timescaledb"}


class WarehouseTranslator(DagsterDbtTranslator):
    """Names dbt's models the way the rest of the graph is named."""

    def __init__(self, target: str) -> None:
        super().__init__(
            settings=DagsterDbtTranslatorSettings(
                enable_asset_checks=True, enable_source_tests_as_checks=True
            )
        )
        self._target = target

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """[schema, table]; the schema's own name even when a sandbox builds elsewhere.

        A source that is only another asset's hand-over names that asset itself.
        """
        stated = dbt_resource_props.get("meta", {}).get("dagster", {}).get("asset_key")
        if stated:
            return dg.AssetKey(stated)
        table = dbt_resource_props.get("identifier") or dbt_resource_props.get("alias")
        return dg.AssetKey([SCHEMAS[self._target], table or dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The hourly aggregate belongs to the warehouse; in ClickHouse what models learn from is apart."""
        if self._target != "clickhouse":
            return "warehouse"
        return "features" if dbt_resource_props["name"] in FEATURE_MODELS else "analytics"

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        """All models have one owner."""
        return OWNERS

    def get_tags(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, str]:
        """The layer (staging, intermediate, marts) as a tag; dbt's own tags only repeat the engine."""
        folders = dbt_resource_props["fqn"]
        return {"layer": folders[2]} if len(folders) > 2 else {}


def project_of(target: str) -> DbtProject:
    """The dbt project with this target's artefacts; makes the manifest if it is out of date."""
    ensure_manifest(target)
    return DbtProject(
        PROJECT, target=target, target_path=target_path(target).relative_to(PROJECT), profiles_dir=PROJECT
    )


def day_flags(first: date, until: date) -> list[str]:
    """Flags of dbt for the days `first` (inclusive) to `until` (exclusive); read by macros/days.sql."""
    return ["--event-time-start", first.isoformat(), "--event-time-end", until.isoformat()]


TIMESCALE: Final = project_of("timescale")
CLICKHOUSE: Final = project_of("clickhouse")


@dbt_assets(
    manifest=TIMESCALE.manifest_path,
    project=TIMESCALE,
    dagster_dbt_translator=WarehouseTranslator("timescale"),
    name="dbt_timescale",
    partitions_def=DAYS,
    backfill_policy=ONE_RUN,
    pool=HOURLY_POOL,
    op_tags={"dagster/kind": "dbt"},
)
def dbt_timescale(
    context: dg.AssetExecutionContext, dbt_timescale_runs: DbtRuns, settings: dg.ResourceParam[Settings]
) -> Iterator[Any]:
    """What dbt builds in TimescaleDB; hours of days that left it are counted in ClickHouse first."""
    with told_apart():
        counted = warm_hours.count_hours(settings, *days_of(context))
    context.log.info("hours of %s days were counted in ClickHouse", len(counted))
    port = (settings.host, settings.timescale_port)
    metadata = ModelMetadata("timescale", settings, days_of(context), context.log.warning)
    yield from dbt_timescale_runs.build(context, settings.data, port, day_flags(*days_of(context)), metadata)


@dbt_assets(
    manifest=CLICKHOUSE.manifest_path,
    project=CLICKHOUSE,
    dagster_dbt_translator=WarehouseTranslator("clickhouse"),
    name="dbt_clickhouse",
    partitions_def=DAYS,
    backfill_policy=ONE_RUN,
    pool=MARTS_POOL,
    op_tags={"dagster/kind": "dbt"},
)
def dbt_clickhouse(
    context: dg.AssetExecutionContext, dbt_clickhouse_runs: DbtRuns, settings: dg.ResourceParam[Settings]
) -> Iterator[Any]:
    """What dbt builds in ClickHouse."""
    refuse_archived(settings, *days_of(context))
    port = (settings.host, settings.clickhouse_http_port)
    metadata = ModelMetadata("clickhouse", settings, days_of(context), context.log.warning)
    yield from dbt_clickhouse_runs.build(context, settings.data, port, day_flags(*days_of(context)), metadata)


def resources() -> dict[str, DbtRuns]:
    """One runner per target."""
    return {
        f"dbt_{target}_runs": DbtRuns(
            project_dir=str(PROJECT),
            profiles_dir=str(PROJECT),
            target=target,
            # dbt ends with its run; dagster-dbt puts these flags right behind the executable
            dbt_executable=sys.executable,
            global_config_flags=[tied.__file__, str(DBT)],
        )
        for target in TARGETS
    }
