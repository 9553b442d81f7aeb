"""published/scores: each vehicle's daily figures where the API reads them."""

from typing import Final

import dagster as dg

from orchestration.automation import together_with
from orchestration.faults import told_apart
from orchestration.loads import OWNERS
from orchestration.scoring_assets import HEALTH_SCORES, PREDICTIONS
from telematics.clock import utc_today
from telematics.settings import Settings
from warehouse import publish

PUBLISHED_POOL: Final = "published"
"""One at a time: the older of two would be the last to write."""
SCORES: Final = dg.AssetKey(["published", "scores"])


@dg.asset(
    key=SCORES,
    deps=[
        dg.AssetKey(["analytics", "vehicle_analytics"]),
        dg.AssetKey(["analytics", "trips"]),
        dg.AssetKey(["analytics", "odometer_readings"]),
        PREDICTIONS,
        HEALTH_SCORES,
    ],
    group_name="published",
    kinds={"redis"},
    owners=OWNERS,
    automation_condition=together_with(HEALTH_SCORES),
    pool=PUBLISHED_POOL,
)
def published_scores(settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult[None]:
    """Odometer and driving summaries per vehicle in Redis (`scores:{vin}`), as of the present UTC day.

    Always as of today, whichever days the run rebuilt: a rebuilt January must not bring January's figures
    back into the live answers.
    """
    with told_apart():
        report = publish.publish_summaries(settings, utc_today())
    return dg.MaterializeResult(
        metadata={
            "as_of": report.as_of.isoformat(),
            "vehicles": report.vehicle_count,
            "predicted_vehicles": report.predicted_count,
            "unreadable_rows": report.unreadable_count,
            "seconds": round(report.seconds, 3),
        }
    )
