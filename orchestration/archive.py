"""archive/telemetry: days past their time in ClickHouse, as Parquet on object storage.

The job is about whatever days are due, not about a run's partitions: a day is due once, and what could not be
archived yesterday is due today. Each archived day is materialised as its own partition, so the UI shows which
days lie in the archive and what became of them.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final

import dagster as dg

from orchestration import load_metadata
from orchestration.checks import as_result
from orchestration.faults import told_apart
from orchestration.loads import DAY_LEDGER, MAX_NAMED, OWNERS, WAREHOUSE_POOL, WARM_TELEMETRY
from orchestration.partitions import DAYS
from orchestration.retention import RETENTION
from telematics.clock import utc_today
from telematics.settings import Settings
from warehouse import clients
from warehouse.archive import archiving, checks, restoring
from warehouse.archive import ledger as archive_ledger

ARCHIVE: Final = dg.AssetKey(["archive", "telemetry"])
ARCHIVE_RETENTION: Final = dg.AssetKey(["archive", "telemetry_retention"])

ARCHIVED_DAYS: Final = dg.AssetSpec(
    ARCHIVE,
    deps=[ARCHIVE_RETENTION],
    description=(
        "Days that left ClickHouse: a Parquet file sorted by VIN and time, and its manifest. "
        "A day is a partition once it is archived."
    ),
    group_name="archive",
    kinds={"parquet", "s3"},
    owners=OWNERS,
    partitions_def=DAYS,
)


@dg.asset(
    key=ARCHIVE_RETENTION,
    deps=[WARM_TELEMETRY, DAY_LEDGER, RETENTION],
    group_name="archive",
    kinds={"parquet", "clickhouse"},
    owners=OWNERS,
    pool=WAREHOUSE_POOL,
)
def archive_retention(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult[None]:
    """Days older than `PISTON_COLD_RETENTION_DAYS` are archived, read back, compared, and dropped.

    While the object storage is away, full or slow nothing is dropped, and the step is tried again. Days whose
    copies differ stay and are named; they fail the step after all others are done.
    """
    with told_apart():
        restores = restoring.send_requests(settings, progress=context.log.info)
        report = archiving.archive_days(
            settings, utc_today(), settings.cold_retention_days, progress=context.log.info
        )
    for day in report.archived:
        report_day(context.instance, day)
    if report.faults:
        raise dg.Failure(description=faults(report), allow_retries=False)
    with told_apart():
        tiers = load_metadata.of_tiers(settings) if report.archived else {}
    rows = sum(day.row_count for day in report.archived)
    stored = sum(day.byte_count for day in report.archived)
    ratio = archiving.ratio(report.archived)
    return dg.MaterializeResult(
        metadata={
            "archived_days": len(report.archived),
            "rows": rows,
            "bytes": stored,
            "seconds": round(report.seconds, 3),
            **(
                {"clickhouse_to_parquet_ratio": ratio, "bytes_per_row": round(stored / rows, 3)}
                if ratio
                else {}
            ),
            "kept_days": len(report.kept),
            "kept": dg.MetadataValue.json(
                [{"day": kept.day.isoformat(), "reason": kept.reason} for kept in report.kept]
            ),
            "restores": dg.MetadataValue.json(
                [{"day": found.day.isoformat(), "state": found.state.value} for found in restores]
            ),
            **tiers,
        }
    )


def refuse_archived(settings: Settings, first: date, until: date) -> None:
    """End a step that builds from ClickHouse's records of days that only the archive holds.

    It would build these days from nothing and replace what was built of them before.

    Raises:
        dagster.Failure: there are such days; the sentence names them.
    """
    with told_apart(), clients.timescale(settings) as connection:
        files = archive_ledger.current_files(connection, first, until, serving_only=True)
    if files:
        raise dg.Failure(description=refusal([file.day for file in files]), allow_retries=False)


def refusal(days: Sequence[date]) -> str:
    """The sentence that says why nothing was built."""
    named = ", ".join(day.isoformat() for day in days[:MAX_NAMED])
    more = f" and {len(days) - MAX_NAMED} more" if len(days) > MAX_NAMED else ""
    return (
        f"nothing was built: the records of {named}{more} lie in the archive alone; materialise "
        "analytics/telemetry for these days first, which brings them back to ClickHouse"
    )


def report_day(instance: dg.DagsterInstance, day: archiving.ArchivedDay) -> None:
    """Show one archived day as a materialised partition of archive/telemetry."""
    instance.report_runless_asset_event(
        dg.AssetMaterialization(
            ARCHIVE,
            partition=day.day.isoformat(),
            metadata={
                "dagster/partition_row_count": day.row_count,
                "version": day.version,
                "bytes": day.byte_count,
                "bytes_per_row": round(day.byte_count / day.row_count, 3),
                "clickhouse_bytes": day.warm_byte_count,
                "seconds": round(day.seconds, 3),
            },
        )
    )


def faults(report: archiving.ArchiveReport) -> str:
    """The sentence that names days whose copies differ."""
    named = "; ".join(f"{kept.day}: {kept.reason}" for kept in report.faults[:MAX_NAMED])
    more = f"; and {len(report.faults) - MAX_NAMED} more" if len(report.faults) > MAX_NAMED else ""
    return f"{named}{more}. They stay in ClickHouse; {len(report.archived)} other days are archived"


@dg.asset_check(asset=ARCHIVE, name="parity", additional_deps=[ARCHIVE_RETENTION])
def archive_parity(settings: dg.ResourceParam[Settings]) -> dg.AssetCheckResult:
    """Days that ClickHouse and the archive both hold have the same counts and sums, column by column."""
    with told_apart():
        return as_result(checks.archive_parity(settings))


@dg.asset_check(asset=ARCHIVE, name="complete", additional_deps=[ARCHIVE_RETENTION])
def archive_complete(settings: dg.ResourceParam[Settings]) -> dg.AssetCheckResult:
    """Every day that ClickHouse gave up has its file and manifest in the storage."""
    with told_apart():
        return as_result(checks.archive_complete(settings))


@dg.asset_check(asset=ARCHIVE, name="sound", additional_deps=[ARCHIVE_RETENTION])
def archive_sound(settings: dg.ResourceParam[Settings]) -> dg.AssetCheckResult:
    """The files that nobody looked at for longest, read back whole, are what their manifests say."""
    with told_apart():
        return as_result(checks.archive_sound(settings))


ARCHIVE_CHECKS: Final = [archive_parity, archive_complete, archive_sound]
