"""Answers what is expected to fail."""

from serving.consent.gate import VehicleAccess
from serving.vehicles.maintenance.repository import MaintenanceReader
from serving.vehicles.maintenance.schemas import (
    EvidenceRead,
    MaintenancePredictionRead,
    PredictionRead,
    TrainedOnRead,
)
from serving.vehicles.scores import Evidence, Maintenance, Prediction, RiskLevel, TrainedOn
from telematics.names import Origin

_DIGITS = 4
"""Of a probability: the tenth of a promille is far below what any calibration can tell."""
_SIGNIFICANT_DIGITS = 6
"""Of a measured value; no sensor here is better than one in a thousand."""


def build_predictions(access: VehicleAccess, known: Maintenance | None) -> MaintenancePredictionRead:
    """The answer; the endpoint's one scope covers all of it, so nothing is ever withheld here."""
    predictions = [] if known is None else [_prediction(each) for each in known.predictions]
    as_of = None if known is None else known.as_of
    empty = {"predictions": not predictions, "as_of": as_of is None}
    return MaintenancePredictionRead(
        vin=access.vin,
        predictions=predictions,
        as_of=as_of,
        pending=[path for path, is_empty in empty.items() if is_empty],
        withheld=[],
    )


def _prediction(known: Prediction) -> PredictionRead:
    return PredictionRead(
        component=known.component,
        risk_level=known.risk_level,
        estimated_failure=known.estimated_failure,
        confidence=_rounded(known.confidence),
        evidence=[each.text for each in known.evidence],
        earliest_failure=known.earliest_failure,
        latest_failure=known.latest_failure,
        risk_30d=_rounded(known.risk_30),
        risk_90d=_rounded(known.risk_90),
        data_sufficiency=round(known.data_sufficiency, _DIGITS),
        reason=(known.reason or None) if known.risk_level is RiskLevel.UNKNOWN else None,
        evidence_details=[_evidence(each) for each in known.evidence],
        model_id=known.model_id or None,
        trained_on=_trained_on(known.trained_on) if known.model_id else None,
    )


def _evidence(known: Evidence) -> EvidenceRead:
    return EvidenceRead(
        text=known.text,
        feature=known.feature,
        value=None if known.value is None else float(f"{known.value:.{_SIGNIFICANT_DIGITS}g}"),
        unit=known.unit or None,
        observed_on=known.observed_on,
        fleet_quantile=_rounded(known.fleet_quantile),
    )


def _trained_on(known: TrainedOn) -> TrainedOnRead:
    """What a model learnt from; without origins nobody can say that it was only the simulator."""
    origins = set(known.origins)
    return TrainedOnRead(
        is_simulated_only=origins == {Origin.SIMULATED} if origins else None,
        origins=list(known.origins),
        vehicle_count=known.vehicle_count,
        failure_count=known.failure_count,
        landmark_count=known.landmark_count,
        data_from=known.data_from,
        data_until=known.data_until,
        data_hash=known.data_hash,
    )


def _rounded(probability: float | None) -> float | None:
    return None if probability is None else round(probability, _DIGITS)


class MaintenanceService:
    """Answers maintenance predictions."""

    def __init__(self, maintenance: MaintenanceReader) -> None:
        self._maintenance = maintenance

    async def predictions(self, access: VehicleAccess) -> MaintenancePredictionRead:
        """The vehicle's newest predictions.

        Raises:
            StoreUnavailableError: the predictions cannot be read.
        """
        return build_predictions(access, await self._maintenance.read(access))
