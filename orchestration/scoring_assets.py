"""analytics/maintenance_predictions and analytics/health_scores, and the checks of them."""

from collections.abc import Iterator
from typing import Any, Final

import dagster as dg

from orchestration.automation import after_the_day, together_with
from orchestration.checks import as_result
from orchestration.dbt_assets import COMPONENT_FEATURES, COMPONENT_SIGNALS
from orchestration.faults import told_apart
from orchestration.history import VEHICLES
from orchestration.load_metadata import schema_of
from orchestration.partitions import DAY
from orchestration.scoring import ScoringReport, score_fleet
from orchestration.training_assets import CHAMPION, OWNERS
from telematics.clock import utc_today
from telematics.names import ANALYTICS_DATABASE
from telematics.settings import Settings
from warehouse import prediction_checks

SCORING_POOL: Final = "clickhouse_predictions"
"""One scoring at a time: a day's rows are replaced as a whole."""

PREDICTIONS: Final = dg.AssetKey([ANALYTICS_DATABASE, "maintenance_predictions"])
HEALTH_SCORES: Final = dg.AssetKey([ANALYTICS_DATABASE, "health_scores"])


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            PREDICTIONS,
            deps=[CHAMPION, COMPONENT_FEATURES, VEHICLES],
            description="What the champion says of every vehicle's battery, on the newest day of features.",
            group_name="models",
            kinds={"clickhouse"},
            owners=OWNERS,
            automation_condition=after_the_day(COMPONENT_FEATURES, CHAMPION),
        ),
        dg.AssetSpec(
            HEALTH_SCORES,
            deps=[PREDICTIONS, COMPONENT_SIGNALS],
            description="One number per vehicle, with parts that add up to what is missing from 100.",
            group_name="models",
            kinds={"clickhouse"},
            owners=OWNERS,
            automation_condition=together_with(PREDICTIONS),
        ),
    ],
    name="scored_fleet",
    pool=SCORING_POOL,
)
def scored_fleet(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> Iterator[Any]:
    """Every vehicle scored, origin by origin; without a champion nothing is written, and a note says so."""
    with told_apart():
        report = score_fleet(settings, utc_today() - DAY)  # today is not over: its features are not final
        schemas = schema_of(settings, PREDICTIONS.path[-1], HEALTH_SCORES.path[-1])
    if report.note:
        context.log.warning(report.note)
    for key, metadata in scoring_metadata(report).items():
        yield dg.MaterializeResult(asset_key=key, metadata={**metadata, **schemas[key.path[-1]]})


def scoring_metadata(report: ScoringReport) -> dict[dg.AssetKey, dict[str, dg.MetadataValue]]:
    """What the web server shows of a scoring, by asset."""
    if report.as_of is None:
        note: dict[str, dg.MetadataValue] = {"note": dg.MetadataValue.text(report.note)}
        return {PREDICTIONS: note, HEALTH_SCORES: note}
    as_of = dg.MetadataValue.text(report.as_of.isoformat())
    vehicles = sum(report.origins.values())
    return {
        PREDICTIONS: {
            "as_of": as_of,
            "model_id": dg.MetadataValue.text(report.model_id),
            "vehicles": dg.MetadataValue.int(vehicles),
            **{f"risk_{level}": dg.MetadataValue.int(count) for level, count in report.levels.items()},
            "origins": dg.MetadataValue.json(dict(report.origins)),
            "seconds": dg.MetadataValue.float(round(report.seconds, 3)),
        },
        HEALTH_SCORES: {
            "as_of": as_of,
            "scores": dg.MetadataValue.int(report.scored_health),
            "unknown": dg.MetadataValue.int(vehicles - report.scored_health),
        },
    }


@dg.asset_check(asset=PREDICTIONS, name="predictions_cover_fleet")
def predictions_cover_fleet(settings: dg.ResourceParam[Settings]) -> dg.AssetCheckResult:
    """Every vehicle of which anything became known within 28 days has a prediction of the newest scoring."""
    with told_apart():
        return as_result(
            prediction_checks.predictions_cover_fleet(settings, utc_today()), dg.AssetCheckSeverity.WARN
        )


@dg.asset_check(asset=HEALTH_SCORES, name="health_scores_add_up")
def health_scores_add_up(settings: dg.ResourceParam[Settings]) -> dg.AssetCheckResult:
    """A health score is 100 less what its parts lost."""
    with told_apart():
        return as_result(prediction_checks.health_scores_add_up(settings))


SCORING_CHECKS: Final = [predictions_cover_fleet, health_scores_add_up]
