"""From the models' tables to what a partner reads: ClickHouse, publishing, Redis, HTTP."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import redis

from ml.claims import RiskLevel
from ml.evidence import Evidence
from ml.health import health_scores
from ml.predict import Prediction
from serving.consent.service import ConsentService
from serving.partners.service import Credentials, PartnerService
from serving.scopes import PartnerKind, Scope
from telematics.names import scores_key
from telematics.settings import Settings
from tests.serving.planting import Operate, Vehicle, at, clickhouse, path, plant_scores
from tests.warehouse.publish.planting import (
    EVIDENCE,
    PART,
    TRAINED_ON,
    plant_health,
    plant_prediction,
    standing_marts,
)
from warehouse.predictions import write_health_scores, write_predictions
from warehouse.publish import publish_summaries

pytestmark = pytest.mark.integration

BEFORE = frozenset(Scope) - {Scope.MAINTENANCE_READ}


@pytest.fixture
def warehouse(stack: Settings) -> Iterator[Any]:
    with clickhouse(stack) as client, standing_marts(client):
        yield client


async def read(api: httpx.AsyncClient, vehicle: Vehicle, resource: str) -> dict[str, Any]:
    answer = await api.get(path(vehicle, resource))
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_what_a_model_wrote_is_what_a_partner_reads(
    stack: Settings, warehouse: Any, vehicle: Vehicle, api: httpx.AsyncClient
) -> None:
    plant_prediction(warehouse, vehicle.vin, vehicle.day)
    plant_health(warehouse, vehicle.vin, vehicle.day)
    assert (await read(api, vehicle, "maintenance-prediction"))["pending"] == ["predictions", "as_of"]
    publish_summaries(stack, vehicle.day)
    body = await read(api, vehicle, "maintenance-prediction")
    assert (body["as_of"], body["pending"], body["withheld"]) == (str(vehicle.day), [], [])
    (prediction,) = body["predictions"]
    assert (prediction["component"], prediction["risk_level"]) == ("battery", "medium")
    assert (prediction["estimated_failure"], prediction["confidence"]) == ("2026-03-15", 0.55)
    assert prediction["evidence"] == [EVIDENCE["text"]]
    assert prediction["evidence_details"][0]["observed_on"] == EVIDENCE["date"]
    assert prediction["trained_on"]["is_simulated_only"] is True
    health = (await read(api, vehicle, "live-status"))["vehicle_health"]
    assert (health["health_score"], health["health_as_of"]) == (96, str(vehicle.day))
    assert health["health_parts"][0]["survival_90d"] == PART["survival_90"]


async def test_what_the_models_own_code_makes_is_read_to_its_last_field(
    stack: Settings, warehouse: Any, vehicle: Vehicle, api: httpx.AsyncClient
) -> None:
    """No planted row: the values of `ml`, written by the warehouse's own writer."""
    judged = Prediction(
        vin=vehicle.vin,
        component="battery",
        as_of=vehicle.day,
        origin="simulated",
        risk_level=RiskLevel.HIGH,
        risk_30=0.62,
        risk_90=0.9,
        estimated_failure=vehicle.day + timedelta(days=23),
        earliest_failure=vehicle.day + timedelta(days=4),
        latest_failure=None,
        confidence=0.62,
        data_sufficiency=0.88,
        reason="",
        evidence=(Evidence("crank 8.9 V", "crank_min_v_28d", 8.9, "V", vehicle.day, 0.02, 0.8),),
        survival=(1.0, 0.9, 0.8, 0.38, 0.2, 0.1, 0.05, 0.02, 0.01),
        model_id="20260101T020000Z-1f3c9a",
        trained_on=TRAINED_ON,
        scored_at=at(vehicle.day, 2),
    )
    (health,) = health_scores([judged], {vehicle.vin: ("C0035",)}, scored_at=at(vehicle.day, 2))
    write_predictions(stack, vehicle.day, [judged.as_row()])
    write_health_scores(stack, vehicle.day, [health.as_row()])
    publish_summaries(stack, vehicle.day)
    (prediction,) = (await read(api, vehicle, "maintenance-prediction"))["predictions"]
    assert prediction == {
        "component": "battery",
        "risk_level": "high",
        "estimated_failure": str(vehicle.day + timedelta(days=23)),
        "confidence": 0.62,
        "evidence": ["crank 8.9 V"],
        "earliest_failure": str(vehicle.day + timedelta(days=4)),
        "latest_failure": None,
        "risk_30d": 0.62,
        "risk_90d": 0.9,
        "data_sufficiency": 0.88,
        "reason": None,
        "evidence_details": [
            {
                "text": "crank 8.9 V",
                "feature": "crank_min_v_28d",
                "value": 8.9,
                "unit": "V",
                "observed_on": str(vehicle.day),
                "fleet_quantile": 0.02,
            }
        ],
        "model_id": "20260101T020000Z-1f3c9a",
        "trained_on": {
            "is_simulated_only": True,
            "landmark_count": None,
            "data_from": None,
            "data_until": None,
            "data_hash": None,
            **TRAINED_ON,
        },
    }
    found = (await read(api, vehicle, "live-status"))["vehicle_health"]
    assert (found["health_score"], found["health_rule"]) == (health.health_score, health.rule)
    assert found["health_is_capped"] is health.is_capped
    assert {part["component"]: (part["status"], part["points_lost"]) for part in found["health_parts"]} == {
        part.component: (part.status, part.points_lost) for part in health.parts
    }


async def test_a_newer_scoring_replaces_the_older_one_with_the_next_publishing(
    stack: Settings, warehouse: Any, vehicle: Vehicle, api: httpx.AsyncClient
) -> None:
    first, second = vehicle.day, vehicle.day + timedelta(days=1)
    plant_prediction(warehouse, vehicle.vin, first, risk_level="low", confidence=0.97)
    publish_summaries(stack, second)
    plant_prediction(warehouse, vehicle.vin, second, risk_level="high", confidence=0.61)
    publish_summaries(stack, second)
    body = await read(api, vehicle, "maintenance-prediction")
    assert [(each["risk_level"], each["confidence"]) for each in body["predictions"]] == [("high", 0.61)]
    assert body["as_of"] == str(second)


async def test_a_car_without_12_v_is_unknown_with_the_reason_in_both_answers(
    stack: Settings, warehouse: Any, vehicle: Vehicle, api: httpx.AsyncClient
) -> None:
    reason = "no 12 V signal in the last 90 days"
    nothing = ("risk_30", "risk_90", "estimated_failure", "earliest_failure", "latest_failure", "confidence")
    plant_prediction(
        warehouse,
        vehicle.vin,
        vehicle.day,
        **dict.fromkeys(nothing),
        origin="recorded",
        risk_level="unknown",
        data_sufficiency=0.0,
        reason=reason,
        evidence="[]",
        survival=[],
    )
    part = {**PART, "survival_90": None, "points_lost": None, "status": "unknown", "reason": reason}
    plant_health(
        warehouse,
        vehicle.vin,
        vehicle.day,
        origin="recorded",
        health_score=None,
        parts=json.dumps([part]),
    )
    publish_summaries(stack, vehicle.day)
    (prediction,) = (await read(api, vehicle, "maintenance-prediction"))["predictions"]
    assert (prediction["risk_level"], prediction["reason"], prediction["confidence"]) == (
        "unknown",
        reason,
        None,
    )
    live = await read(api, vehicle, "live-status")
    assert live["vehicle_health"]["health_score"] is None
    assert "vehicle_health.health_score" in live["pending"]
    (battery,) = live["vehicle_health"]["health_parts"]
    assert (battery["component"], battery["status"], battery["reason"]) == ("battery", "unknown", reason)


async def test_a_row_full_of_numbers_that_are_none_is_still_an_answer(
    stack: Settings, warehouse: Any, vehicle: Vehicle, api: httpx.AsyncClient
) -> None:
    nan = float("nan")
    evidence = json.dumps([{**EVIDENCE, "value": nan, "fleet_quantile": nan}])
    plant_prediction(warehouse, vehicle.vin, vehicle.day, risk_30=nan, confidence=nan, evidence=evidence)
    publish_summaries(stack, vehicle.day)
    (prediction,) = (await read(api, vehicle, "maintenance-prediction"))["predictions"]
    assert (prediction["risk_30d"], prediction["confidence"]) == (None, None)
    assert prediction["evidence_details"][0]["value"] is None


@pytest.mark.parametrize("document", [{}, {"driving": [], "maintenance": 7, "health": {"as_of": "never"}}])
async def test_a_document_of_another_release_is_never_an_error(
    document: dict[str, Any], stack: Settings, vehicle: Vehicle, api: httpx.AsyncClient
) -> None:
    plant_scores(stack, vehicle, document)
    assert (await read(api, vehicle, "maintenance-prediction"))["predictions"] == []
    assert "vehicle_health.health_score" in (await read(api, vehicle, "live-status"))["pending"]


async def test_bytes_that_are_no_document_are_never_an_error(
    stack: Settings, vehicle: Vehicle, api: httpx.AsyncClient
) -> None:
    with redis.Redis.from_url(stack.valkey_url()) as connection:
        connection.set(scores_key(vehicle.vin), b"\xff\x00{")
    assert (await read(api, vehicle, "maintenance-prediction"))["predictions"] == []
    assert "driving_behavior.as_of" in (await read(api, vehicle, "live-status"))["pending"]


async def test_a_partner_and_a_consent_of_before_are_widened_one_after_the_other(
    vehicle: Vehicle, anonymous: httpx.AsyncClient, operate: Operate
) -> None:
    made: Credentials = await operate(
        lambda connection: PartnerService(connection, actor="test").create(
            f"Partner of before of {vehicle.vin}", PartnerKind.HISTORY, scopes=BEFORE
        )
    )
    client_id = made.partner.client_id

    async def consent() -> None:
        await operate(
            lambda connection: ConsentService(connection, actor="test").grant(
                client_id, [vehicle.vin], purpose="test"
            )
        )

    async def ask() -> httpx.Response:
        token = await anonymous.post(
            "/oauth/token", data={"grant_type": "client_credentials"}, auth=(client_id, made.client_secret)
        )
        headers = {"Authorization": f"Bearer {token.json()['access_token']}"}
        return await anonymous.get(path(vehicle, "maintenance-prediction"), headers=headers)

    await consent()
    refused = await ask()
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:piston:problem:insufficient-scope")
    assert "maintenance:read" in refused.json()["detail"]
    await operate(
        lambda connection: PartnerService(connection, actor="test").add_scopes(
            client_id, [Scope.MAINTENANCE_READ]
        )
    )
    narrow = await ask()
    assert (narrow.status_code, narrow.json()["type"]) == (403, "urn:piston:problem:consent-does-not-cover")
    assert "maintenance:read" in narrow.json()["detail"]
    await consent()
    assert (await ask()).status_code == 200
