"""The champion's predictions of the whole fleet, and the health scores that follow; no Dagster in here."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from ml.errors import UnknownModelError
from orchestration.training import registry_folder
from telematics.settings import Settings
from warehouse import model_data, predictions


@dataclass(frozen=True, slots=True)
class ScoringReport:
    """One scoring of the fleet.

    Attributes:
        as_of: the day that was scored; None where there is nothing to score.
        note: why nothing was scored, in a sentence; '' otherwise.
        model_id: the champion.
        levels: vehicles by risk level.
        origins: vehicles by origin.
        scored_health: vehicles with a health score.
        seconds: of reading, predicting and writing.
    """

    as_of: date | None
    note: str = ""
    model_id: str = ""
    levels: Mapping[str, int] = field(default_factory=dict)
    origins: Mapping[str, int] = field(default_factory=dict)
    scored_health: int = 0
    seconds: float = 0.0


def score_fleet(settings: Settings, last_day: date, component: str = "battery") -> ScoringReport:
    """Score every vehicle on the newest day of features, origin by origin, with the champion.

    1. Read the champion, the features and the trouble codes; predict; compute health. Nothing is written yet.
    2. Replace the day of predictions, then the day of health scores.

    Quantiles in the evidence are those of the fleet that the model learned from. A vehicle without data gets
    a prediction that says that nothing is known, and why.

    Args:
        settings: of the warehouse and the models folder.
        last_day: the newest UTC day that is over; features of later days are not looked at.
        component: what fails.

    Raises:
        TamperedModelError: the champion is not what was saved; nothing was written.
        UnknownModelError: the champion's files are gone; nothing was written.
        UnavailableError: ClickHouse does not answer.
    """
    from ml.health import health_scores
    from ml.predict import predict
    from ml.registry import Registry

    started = time.monotonic()
    registry = Registry(registry_folder(settings))
    try:
        registry.champion(component)
    except UnknownModelError as error:
        return ScoringReport(None, note=str(error))
    model = registry.load(component)
    as_of = model_data.newest_as_of(settings, last_day, component=component)
    if as_of is None:
        return ScoringReport(None, note=f"no day of features was built up to {last_day}: run features_job")
    frame = model_data.read_newest_features(settings, as_of, component=component)
    found = [each for _, rows in frame.groupby("origin") for each in predict(model, rows)]
    health = health_scores(found, model_data.read_active_dtc(settings, as_of))
    predictions.write_predictions(settings, as_of, [each.as_row() for each in found])
    predictions.write_health_scores(settings, as_of, [each.as_row() for each in health])
    return ScoringReport(
        as_of,
        model_id=model.model_id,
        levels=Counter(each.risk_level.value for each in found),
        origins=Counter(each.origin for each in found),
        scored_health=sum(each.health_score is not None for each in health),
        seconds=time.monotonic() - started,
    )
