"""Documents as the warehouse publishes them under `scores:{vin}`."""

import json
from typing import Any

from tests.serving.world import VIN


def make_evidence(**changes: Any) -> dict[str, Any]:
    return {
        "text": "lowest crank voltage 8.9 V on 2026-01-12, fleet P2",
        "feature": "crank_min_v_28d",
        "value": 8.9,
        "unit": "V",
        "date": "2026-01-12",
        "fleet_quantile": 0.02,
        "contribution": 0.8,
        **changes,
    }


def make_trained_on(**changes: Any) -> dict[str, Any]:
    return {
        "origins": ["simulated"],
        "vehicle_count": 1000,
        "failure_count": 412,
        "landmark_count": 48210,
        "data_from": "2024-01-01",
        "data_until": "2025-12-31",
        "data_hash": "5f2b9c0e",
        **changes,
    }


def make_prediction(**changes: Any) -> dict[str, Any]:
    return {
        "component": "battery",
        "risk_level": "medium",
        "risk_30": 0.2,
        "risk_90": 0.55,
        "estimated_failure": "2026-03-15",
        "earliest_failure": "2026-01-20",
        "latest_failure": None,
        "confidence": 0.55,
        "data_sufficiency": 0.9,
        "reason": "",
        "evidence": [make_evidence()],
        "model_id": "20260101T020000Z-1f3c9a",
        "trained_on": make_trained_on(),
        **changes,
    }


def make_unknown_prediction(**changes: Any) -> dict[str, Any]:
    """What a car without a 12 V signal gets."""
    nothing = ("risk_30", "risk_90", "estimated_failure", "earliest_failure", "latest_failure", "confidence")
    return make_prediction(
        **{
            "risk_level": "unknown",
            **dict.fromkeys(nothing),
            "data_sufficiency": 0.0,
            "reason": "no 12 V signal in the last 90 days",
            "evidence": [],
            **changes,
        }
    )


def make_maintenance(*predictions: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"as_of": "2026-01-18", "predictions": list(predictions or [make_prediction()]), **changes}


def make_part(**changes: Any) -> dict[str, Any]:
    return {
        "component": "battery",
        "survival_90": 0.93,
        "weight": 0.6,
        "points_lost": 4.26,
        "status": "known",
        "reason": "",
        **changes,
    }


def make_health(**changes: Any) -> dict[str, Any]:
    return {
        "as_of": "2026-01-18",
        "score": 96,
        "parts": [make_part()],
        "rule": "100 × product of survival ^ weight",
        "is_capped": False,
        **changes,
    }


def make_document(**sections: Any) -> dict[str, Any]:
    return {
        "vin": VIN,
        "as_of": "2025-12-05",
        "odometer": {"miles": 45600.0, "source": "gps_continuous", "date": "2025-12-05"},
        "driving": {
            "avg_speed_mph_7d": 32.04,
            "hard_brakes_7d": 3,
            "hard_accels_7d": 0,
            "distance_mi_7d": 120.5,
            "trips_7d": 14,
            "days_with_data_7d": 6,
        },
        "maintenance": make_maintenance(),
        "health": make_health(),
        **sections,
    }


def stored(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()
