"""public/telemetry_retention: days leave the hot tier once everything that needs them has them."""

from typing import Final

import dagster as dg

from orchestration.faults import told_apart
from orchestration.loads import DAY_LEDGER, OWNERS, WAREHOUSE_POOL, WARM_TELEMETRY
from telematics.clock import utc_today
from telematics.settings import Settings
from warehouse import retention

RETENTION: Final = dg.AssetKey(["public", "telemetry_retention"])


@dg.asset(
    key=RETENTION,
    deps=[WARM_TELEMETRY, dg.AssetKey(["public", "telemetry_hourly"]), DAY_LEDGER],
    group_name="warehouse",
    kinds={"timescaledb"},
    owners=OWNERS,
    pool=WAREHOUSE_POOL,
)
def telemetry_retention(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult[None]:
    """Hot rows of merged days older than `PISTON_HOT_RETENTION_DAYS` are dropped.

    A day stays while ClickHouse lacks any of its rows; the reason is listed.
    """
    with told_apart():
        report = retention.drop_merged_days(
            settings, utc_today(), settings.hot_retention_days, progress=context.log.info
        )
    return dg.MaterializeResult(
        metadata={
            "dropped_days": len(report.dropped),
            "kept_days": len(report.kept),
            "kept": dg.MetadataValue.json(
                [{"day": kept.day.isoformat(), "reason": kept.reason} for kept in report.kept]
            ),
            "seconds": round(report.seconds, 3),
        }
    )
