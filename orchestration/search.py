"""published/search: the index of vehicles, built anew and put in the old one's place, and its check."""

from typing import Final

import dagster as dg

from orchestration.automation import together_with
from orchestration.checks import as_result
from orchestration.faults import told_apart
from orchestration.loads import OWNERS
from orchestration.publishing import PUBLISHED_POOL, SCORES
from orchestration.scoring_assets import HEALTH_SCORES
from telematics.clock import utc_today
from telematics.settings import Settings

SEARCH: Final = dg.AssetKey(["published", "search"])


@dg.asset(
    key=SEARCH,
    deps=[
        dg.AssetKey(["analytics", "odometer_readings"]),
        dg.AssetKey(["analytics", "component_day_signals"]),
        HEALTH_SCORES,
        SCORES,
    ],
    group_name="published",
    kinds={"elasticsearch"},
    owners=OWNERS,
    automation_condition=together_with(HEALTH_SCORES),
    pool=PUBLISHED_POOL,
)
def published_search(
    context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult[None]:
    """Every vehicle with its odometer, health score, trouble codes and place, behind the alias `vehicles`.

    A new index is filled and counted, then the alias moves to it at once; whatever fails, the last good one
    stays. Between two builds `piston search-feed` writes live states into it.
    """
    from warehouse import search  # the client takes a second to import, and most runs do not need it

    if not settings.with_search:
        return dg.MaterializeResult(metadata={"note": "this stack runs without search"})
    with told_apart():
        report = search.rebuild(settings, utc_today(), progress=context.log.info)
    return dg.MaterializeResult(
        metadata={
            "as_of": report.as_of.isoformat(),
            "index": report.index,
            "documents": report.document_count,
            "with_position": report.located_count,
            "bytes_sent": report.bytes,
            "index_bytes": report.index_bytes,
            "seconds": round(report.seconds, 3),
        }
    )


@dg.asset_check(asset=SEARCH, name="search_parity")
def search_parity(settings: dg.ResourceParam[Settings]) -> dg.AssetCheckResult:
    """The index holds every vehicle that was registered when it was made, and none besides."""
    from warehouse.search import checks

    with told_apart():
        return as_result(checks.parity(settings))


SEARCH_CHECKS: Final = [search_parity]
