"""What the web server shows of a load: bytes and quality of each day, the days around it, and the tiers."""

from datetime import date
from typing import Any, Final

import dagster as dg

from orchestration import plots
from orchestration.dbt_manifest import source_columns
from orchestration.dbt_metadata import size_metadata, table_schema
from orchestration.partitions import DAY, Days
from telematics.clock import utc_today
from telematics.settings import Settings
from warehouse import checks, clients, measures

PLOTTED_DAYS: Final = 60

Metadata = dict[str, Any]


def of_days(settings: Settings, days: Days) -> dict[date, Metadata]:
    """Bytes, compression and quality of each of the run's days that has any rows.

    Quality is read for the newest days of a long range alone (`measures.QUALITY_ROWS`).

    Raises:
        UnavailableError: ClickHouse does not answer.
    """
    with clients.clickhouse(settings) as client:
        sizes = measures.telemetry_days(client, *days)
        quality = measures.telemetry_quality(client, measures.newest_days(sizes))
    return {
        day: size_metadata(size)
        | (
            {"no_fix_share": quality[day].no_fix_share, "late_share": quality[day].late_share}
            if day in quality
            else {}
        )
        for day, size in sizes.items()
    }


def of_table(settings: Settings, days: Days) -> Metadata:
    """Size and columns of the whole table, and the days before the newest as a picture.

    Today's refresh draws none: a picture every quarter of an hour is nobody's to look at.

    Raises:
        UnavailableError: ClickHouse does not answer.
    """
    with clients.clickhouse(settings) as client:
        size = measures.table_size(client, "telemetry")
        found: Metadata = {
            "dagster/column_schema": table_schema(
                measures.warm_columns(client).get("telemetry", {}), source_columns("clickhouse", "telemetry")
            ),
            "dagster/row_count": size.rows,
            **size_metadata(size, "table_"),
        }
        until = min(days[1], utc_today())
        if until <= days[0]:
            return found
        sizes = measures.telemetry_days(client, until - PLOTTED_DAYS * DAY, until)
        quality = measures.telemetry_quality(client, measures.newest_days(sizes))
    volume = plots.Volume(
        {day: size.rows for day, size in sizes.items()},
        {day: each.late_share for day, each in quality.items()},
        checks.VOLUME_FACTOR,
    )
    return found | {
        "records_by_day": dg.MetadataValue.md(plots.as_image("records by day", plots.volume_png(volume)))
    }


def schema_of(settings: Settings, *tables: str) -> dict[str, Metadata]:
    """Columns of tables in ClickHouse that no dbt model describes, by table.

    Raises:
        UnavailableError: ClickHouse does not answer.
    """
    with clients.clickhouse(settings) as client:
        columns = measures.warm_columns(client)
    return {table: {"dagster/column_schema": table_schema(columns.get(table, {}), {})} for table in tables}


def of_tiers(settings: Settings) -> Metadata:
    """What each tier holds, as numbers that Dagster draws over time, and as a picture.

    Raises:
        UnavailableError: a store does not answer.
    """
    tiers = measures.tiers(settings)
    numbers = {
        f"{tier.tier}_{name}": number
        for tier in tiers
        for name, number in (
            ("days", tier.days),
            ("rows", tier.rows),
            ("bytes", tier.bytes_on_disk),
        )
    }
    return numbers | {
        "storage_by_tier": dg.MetadataValue.md(plots.as_image("storage by tier", plots.tiers_png(tiers)))
    }
