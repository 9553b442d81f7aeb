"""What the web server shows of a model that dbt built: rows, bytes, quality, columns and their lineage.

A run of many days stores one event for each day: what is about the whole table (sizes, columns, lineage) is
said on the newest of its days alone, what is about a day on that day.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import dagster as dg

from orchestration.column_lineage import DIALECTS, Columns, Lineage, LineageStore, lineage_of
from orchestration.dbt_manifest import ensure_manifest, sources_digest, target_path
from orchestration.partitions import DAY, Days
from telematics.names import ANALYTICS_DATABASE
from telematics.settings import Settings
from warehouse import clients, measures

SCHEMAS: Final = {"clickhouse": ANALYTICS_DATABASE, "timescale": "public"}
MAX_SOURCES: Final = 6
"""Columns that a description names as those it is made from; it counts the others."""
COMPLETENESS: Final = "vehicle_day_completeness"
HOURLY: Final = {"telemetry_hourly": "bucket"}
"""Tables in TimescaleDB with the column that tells their day."""

Metadata = dict[str, Any]


class ModelMetadata:
    """Metadata of one target's models, asked for as dbt finishes each."""

    def __init__(
        self, target: str, settings: Settings, days: Days, log: Callable[[str], None] = lambda _: None
    ) -> None:
        """Nothing is read yet.

        Args:
            target: of dbt.
            settings: where the stores are.
            days: of the run.
            log: gets a line where a model's lineage cannot be told.
        """
        self._target = target
        self._settings = settings
        self._days = days
        self._log = log
        # beside the manifest: it is as true for every other stack of this clone
        self._lineages = LineageStore(target_path(target) / "lineage.json", sources_digest())

    @cached_property
    def _models(self) -> dict[str, Mapping[str, Any]]:
        manifest = json.loads(ensure_manifest(self._target).read_text())
        return {
            node["alias"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"
        }

    @cached_property
    def _assets(self) -> dict[str, dg.AssetKey]:
        """Keys of tables that are read here under another asset's name."""
        manifest = json.loads(ensure_manifest(self._target).read_text())
        stated = {
            source["identifier"]: source.get("meta", {}).get("dagster", {}).get("asset_key")
            for source in manifest["sources"].values()
        }
        return {table: dg.AssetKey(key) for table, key in stated.items() if key}

    def add_to(self, context: dg.AssetExecutionContext, key: dg.AssetKey, run: Path) -> None:
        """Add to the materialisations of the model that dbt has just finished.

        Args:
            context: the step.
            key: of the model's asset.
            run: dbt's folder of this run, with the compiled SQL.

        Raises:
            UnavailableError: the store does not answer.
        """
        table = key.path[-1]
        for day, numbers in self.of_days(table).items():
            context.add_asset_metadata(numbers, asset_key=key, partition_key=day.isoformat())
        newest = self._days[1] - DAY
        context.add_asset_metadata(self.of_table(table, run), asset_key=key, partition_key=newest.isoformat())

    def of_days(self, table: str) -> dict[date, Metadata]:
        """Rows of each of the run's days, and what a day's completeness is."""
        first, until = self._days
        if self._target == "timescale":
            if table not in HOURLY:
                return {}
            with clients.timescale(self._settings) as connection:
                rows = measures.hot_days(connection, table, HOURLY[table], first, until)
            return _counted(rows, first, until)
        day_column = self._models[table].get("meta", {}).get("day_column")
        if day_column is None:
            return {}
        with clients.clickhouse(self._settings) as client:
            found = _counted(measures.mart_days(client, table, day_column, first, until), first, until)
            if table == COMPLETENESS:
                for day, numbers in measures.completeness(client, first, until).items():
                    found[day] |= numbers
        return found

    def of_table(self, table: str, run: Path) -> Metadata:
        """Size, columns and lineage of the whole table."""
        columns = self._live_columns
        if table not in columns:  # just made: it was not there when the columns were read
            del self._live_columns
            columns = self._live_columns
        node = self._models[table]
        lineage = self._lineage(table, run, columns) or {}
        said = {name: node["columns"].get(name, {}).get("description") for name in columns.get(table, {})}
        words = {name: described(text, lineage.get(name, [])) for name, text in said.items()}
        found: Metadata = {"dagster/column_schema": table_schema(columns.get(table, {}), words)}
        if lineage:
            found["dagster/column_lineage"] = self._as_dagster_tells_it(lineage)
        size = self._size(table)
        return found | {"dagster/row_count": size.rows} | size_metadata(size, "table_")

    def save(self) -> None:
        """Keep what was found out about lineage for later runs."""
        self._lineages.save()

    def _size(self, table: str) -> measures.Size:
        if self._target == "timescale":
            with clients.timescale(self._settings) as connection:
                return measures.hot_table_size(connection, table)
        with clients.clickhouse(self._settings) as client:
            return measures.table_size(client, table)

    @cached_property
    def _live_columns(self) -> Mapping[str, Columns]:
        if self._target == "timescale":
            with clients.timescale(self._settings) as connection:
                return measures.hot_columns(connection)
        with clients.clickhouse(self._settings) as client:
            return measures.warm_columns(client)

    def _lineage(self, table: str, run: Path, columns: Mapping[str, Columns]) -> Lineage | None:
        from sqlglot.errors import SqlglotError

        known = self._lineages.get(table)
        if known is None:
            node = self._models[table]
            compiled = run / "compiled" / node["package_name"] / node["original_file_path"]
            try:
                known = lineage_of(compiled.read_text(), columns, DIALECTS[self._target])
            except (OSError, SqlglotError) as error:
                # a picture less; the model itself is built
                self._log(f"the lineage of {table} cannot be told ({type(error).__name__})")
                return None
            self._lineages.put(table, known)
        return known

    def _as_dagster_tells_it(self, lineage: Lineage) -> dg.TableColumnLineage:
        schema = SCHEMAS[self._target]
        return dg.TableColumnLineage(
            {
                column: [
                    dg.TableColumnDep(self._assets.get(table, dg.AssetKey([schema, table])), source)
                    for table, source in sources
                ]
                for column, sources in lineage.items()
            }
        )


def described(description: str | None, sources: Sequence[tuple[str, str]]) -> str:
    """What a column is, and what it is made from: the web server draws no lineage of columns by itself."""
    named = ", ".join(f"{table}.{column}" for table, column in sources[:MAX_SOURCES])
    more = f" and {len(sources) - MAX_SOURCES} more" if len(sources) > MAX_SOURCES else ""
    made_from = f"From {named}{more}." if named else ""
    return " ".join(part for part in ((description or "").strip(), made_from) if part)


def table_schema(columns: Columns, descriptions: Mapping[str, str | None]) -> dg.TableSchema:
    """A table's columns as Dagster shows them."""
    return dg.TableSchema(
        [dg.TableColumn(name, kind, descriptions.get(name) or None) for name, kind in columns.items()]
    )


def size_metadata(size: measures.Size, prefix: str = "") -> Metadata:
    """A size in numbers that Dagster draws over time; what a store does not tell is left out.

    Args:
        size: of a day or a table.
        prefix: of the names; a day and its table must not be mistaken for one another.
    """
    numbers: dict[str, float | None] = {
        f"{prefix}bytes": size.bytes_on_disk,
        f"{prefix}bytes_per_row": size.bytes_per_row,
        f"{prefix}compression_ratio": size.compression_ratio,
    }
    return {name: number for name, number in numbers.items() if number is not None}


def _counted(rows: Mapping[date, int], first: date, until: date) -> dict[date, Metadata]:
    """Rows of every day, of those without any, too."""
    return {day: {"dagster/partition_row_count": rows.get(day, 0)} for day in _each_day(first, until)}


def _each_day(first: date, until: date) -> Iterable[date]:
    return (first + timedelta(n) for n in range((until - first).days))
