"""models/battery_*: training set, candidate, evaluation, champion."""

from typing import TYPE_CHECKING, Final

import dagster as dg
from pydantic import Field

from orchestration.candidates import StoredCandidate, load_candidate
from orchestration.dbt_assets import COMPONENT_FEATURES
from orchestration.faults import told_apart
from orchestration.gate import BATTERY_EVALUATION
from orchestration.history import SERVICE_RECORDS, VEHICLES
from orchestration.learning import oracle_folders
from orchestration.plots import as_image
from orchestration.training import promote_candidate, store_training_set, train_candidate
from orchestration.training_store import StoredSet
from telematics.settings import Settings

if TYPE_CHECKING:
    from ml.evaluation import Evaluation

OWNERS: Final = ["team:models"]
TRAINING_POOL: Final = "training"
"""Training takes every core there is: one at a time."""
BATTERY: Final = "battery"

BATTERY_TRAINING_SET: Final = dg.AssetKey(["models", "battery_training_set"])
BATTERY_CANDIDATE: Final = dg.AssetKey(["models", "battery_candidate"])
CHAMPION: Final = dg.AssetKey(["models", "battery_champion"])
TRAINED: Final = (BATTERY_TRAINING_SET, BATTERY_CANDIDATE, BATTERY_EVALUATION, CHAMPION)

Metadata = dict[str, dg.MetadataValue]


class TrainingSetConfig(dg.Config):
    """Whose history is learnt from."""

    origins: list[str] = Field(default_factory=list)
    """live, recorded, simulated; none given: live vehicles once enough of them failed, else simulated."""


class CandidateConfig(dg.Config):
    """How surely a candidate is judged."""

    resamples: int = 500
    """How often the vehicles are drawn for the intervals."""


@dg.asset(
    key=BATTERY_TRAINING_SET,
    deps=[COMPONENT_FEATURES, SERVICE_RECORDS, VEHICLES],
    group_name="models",
    kinds={"parquet"},
    owners=OWNERS,
    pool=TRAINING_POOL,
)
def battery_training_set(
    context: dg.AssetExecutionContext, config: TrainingSetConfig, settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult[None]:
    """What was known of each car every 14 days, and when its battery failed after that."""
    with told_apart():
        stored = store_training_set(settings, BATTERY, config.origins)
    context.log.info(stored.origin_choice)
    return dg.MaterializeResult(metadata=training_set_metadata(stored))


@dg.asset(
    key=BATTERY_CANDIDATE,
    deps=[BATTERY_TRAINING_SET],
    group_name="models",
    kinds={"scikitlearn"},
    owners=OWNERS,
    pool=TRAINING_POOL,
)
def battery_candidate(
    config: CandidateConfig, settings: dg.ResourceParam[Settings]
) -> dg.MaterializeResult[None]:
    """A hazard model, judged on held-out vehicles and later days, then fitted on all vehicles and days."""
    with told_apart():
        oracles = oracle_folders(settings)
        candidate = train_candidate(settings, BATTERY, oracles=oracles, resamples=config.resamples)
    return dg.MaterializeResult(
        metadata={
            "model_id": candidate.model_id,
            "trained_on": dg.MetadataValue.json(dict(candidate.trained_on)),
            "oracles": len(oracles),
        }
    )


@dg.asset(
    key=BATTERY_EVALUATION,
    deps=[BATTERY_CANDIDATE],
    group_name="models",
    kinds={"matplotlib"},
    owners=OWNERS,
)
def battery_evaluation(settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult[None]:
    """How good the candidate is: figures with intervals, and what a number cannot show as plots."""
    with told_apart():
        candidate = load_candidate(settings, BATTERY)
    return dg.MaterializeResult(metadata=evaluation_metadata(candidate))


@dg.asset(
    key=CHAMPION,
    deps=[BATTERY_CANDIDATE, BATTERY_EVALUATION],
    group_name="models",
    kinds={"scikitlearn"},
    owners=OWNERS,
    pool=TRAINING_POOL,
)
def battery_champion(settings: dg.ResourceParam[Settings]) -> dg.MaterializeResult[None]:
    """The model that scoring uses: the last candidate that passed the gate."""
    with told_apart():
        champion = promote_candidate(settings, BATTERY)
    return dg.MaterializeResult(
        metadata={
            "model_id": champion.model_id,
            "previous": champion.previous or "none",
            "promoted_at": champion.promoted_at,
        }
    )


def training_set_metadata(stored: StoredSet) -> Metadata:
    """What the web server shows of a training set."""
    training_set = stored.training_set
    return {
        "trained_on": dg.MetadataValue.text(stored.origin_choice),
        "landmarks": dg.MetadataValue.int(training_set.landmark_count),
        "vehicles": dg.MetadataValue.int(training_set.vehicle_count),
        "failures": dg.MetadataValue.int(training_set.failure_count),
        "data_from": dg.MetadataValue.text(training_set.data_from.isoformat()),
        "data_until": dg.MetadataValue.text(training_set.data_until.isoformat()),
        "data_hash": dg.MetadataValue.text(training_set.content_hash),
        "left_out": dg.MetadataValue.json(training_set.left_out),
        "folder": dg.MetadataValue.path(str(stored.folder)),
    }


def evaluation_metadata(candidate: StoredCandidate) -> Metadata:
    """What the web server shows of an evaluation: numbers, intervals, and plots as images."""
    from ml import charts

    evaluation = candidate.evaluation
    plots = {
        "reliability": charts.reliability_png(evaluation),
        "survival": charts.survival_png(evaluation),
        "lift": charts.lift_png(evaluation),
    }
    return {
        "model_id": dg.MetadataValue.text(candidate.model_id),
        "judged_from": dg.MetadataValue.text(evaluation.cutoff.isoformat()),
        "judged_landmarks": dg.MetadataValue.int(evaluation.row_count),
        "judged_failures": dg.MetadataValue.int(evaluation.failure_count),
        "figures": dg.MetadataValue.md(figure_table(evaluation)),
        **{name: dg.MetadataValue.md(as_image(name, png)) for name, png in plots.items()},
        **points(evaluation),
    }


def points(evaluation: "Evaluation") -> Metadata:
    """Each figure's point as a number, so that the web server draws it over the trainings."""
    return {
        name: dg.MetadataValue.float(round(figure.point, 6))
        for name, figure in evaluation.figures.items()
        if figure.point == figure.point  # a NaN is no point, and no number in the event log either
    }


def figure_table(evaluation: "Evaluation") -> str:
    """The figures with their intervals as a Markdown table; what does not exist is a dash."""
    rows = [
        f"| {name} | {_shown(figure.point)} | {_shown(figure.low)} | {_shown(figure.high)} |"
        for name, figure in evaluation.figures.items()
    ]
    return "\n".join(["| figure | point | low | high |", "|---|---:|---:|---:|", *rows])


def _shown(number: float) -> str:
    return f"{number:.4f}" if number == number else "–"
