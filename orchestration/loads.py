"""analytics/telemetry: whole days from TimescaleDB into ClickHouse, and the sources it starts from."""

from collections.abc import Sequence
from typing import Final

import dagster as dg

from orchestration import load_metadata
from orchestration.faults import told_apart
from orchestration.partitions import DAY, DAYS, ONE_RUN, days_of
from telematics.settings import Settings
from warehouse import day_load
from warehouse.ledger import KeptDay

OWNERS: Final = ["team:warehouse"]
MAX_NAMED: Final = 5
"""Days that a refusal names; it counts the others."""

WAREHOUSE_POOL: Final = "clickhouse_telemetry"
"""One load at a time; `warehouse.ledger` holds a lock besides, this keeps waiting runs visible."""

HOT_TELEMETRY: Final = dg.AssetKey(["public", "telemetry"])
DAY_LEDGER: Final = dg.AssetKey(["public", "day_loads"])
WARM_TELEMETRY: Final = dg.AssetKey(["analytics", "telemetry"])

SOURCES: Final = [
    dg.AssetSpec(
        HOT_TELEMETRY,
        description="The hot tier: records as the sink stored them, until their day is merged and dropped.",
        group_name="raw",
        kinds={"timescaledb"},
        owners=["team:ingest"],
        partitions_def=DAYS,
    ),
    dg.AssetSpec(
        DAY_LEDGER,
        description="Which day lies in which tier, written by every load and by hot retention.",
        group_name="warehouse",
        kinds={"timescaledb"},
        owners=OWNERS,
    ),
]


@dg.asset(
    key=WARM_TELEMETRY,
    deps=[HOT_TELEMETRY],
    partitions_def=DAYS,
    backfill_policy=ONE_RUN,
    group_name="warehouse",
    kinds={"clickhouse"},
    owners=OWNERS,
    pool=WAREHOUSE_POOL,
)
def analytics_telemetry(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult[None]:
    """The warm tier: a day as ClickHouse holds it, merged with the day's rows that are still hot.

    Whole days are swapped in at once, so a reader sees a day before or after, never a part of it.
    """
    first, until = days_of(context)
    with told_apart():
        report = day_load.load_days(settings, first, until, context.run.run_id, progress=context.log.info)
    if report.out_of_reach:
        # what follows from these days must not be built from nothing; the others are loaded, and stay so
        raise dg.Failure(description=out_of_reach(report.out_of_reach), allow_retries=False)
    with told_apart():
        measured = load_metadata.of_days(settings, (first, until))
        whole = load_metadata.of_table(settings, (first, until))
    for day in report.days:
        context.add_asset_metadata(
            {
                "dagster/partition_row_count": day.row_count,
                "hot_rows": day.hot_rows,
                "kept_rows": day.kept_rows,
                "is_provisional": day.is_provisional,
                **measured.get(day.day, {}),
            },
            partition_key=day.day.isoformat(),
        )
    # on the newest day alone: what is said of the table need not be stored for each of a year's days
    context.add_asset_metadata(whole, partition_key=(until - DAY).isoformat())
    return dg.MaterializeResult(
        metadata={
            "rows": report.row_count,
            "days": len(report.days),
            "provisional_days": sum(day.is_provisional for day in report.days),
            "seconds": round(report.seconds, 3),
        }
    )


def out_of_reach(days: Sequence[KeptDay]) -> str:
    """The sentence that says which archived days could not be loaded."""
    named = "; ".join(f"{kept.day}: {kept.reason}" for kept in days[:MAX_NAMED])
    more = f"; and {len(days) - MAX_NAMED} more" if len(days) > MAX_NAMED else ""
    return (
        f"{named}{more}. These days lie in the archive and cannot be read now; all others of the run "
        "are loaded. See `piston archive restore` and `piston archive verify`"
    )
