from typing import Any

import httpx
import pytest

from serving.scopes import DEFAULT_SCOPES, PartnerKind, Scope
from tests.serving.published import (
    make_document,
    make_evidence,
    make_maintenance,
    make_prediction,
    make_trained_on,
    make_unknown_prediction,
    stored,
)
from tests.serving.world import VIN, World

PATH = f"/api/v1/vehicles/{VIN}/maintenance-prediction"


async def ask(world: World, client: httpx.AsyncClient, *predictions: dict[str, Any]) -> dict[str, Any]:
    world.maintenance.stored[VIN] = stored(make_document(maintenance=make_maintenance(*predictions)))
    answer = await client.get(PATH, headers=world.headers())
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


async def test_the_answer_has_the_blueprints_shape_and_what_makes_it_checkable(
    world: World, client: httpx.AsyncClient
) -> None:
    assert await ask(world, client, make_prediction()) == {
        "vin": VIN,
        "predictions": [
            {
                "component": "battery",
                "risk_level": "medium",
                "estimated_failure": "2026-03-15",
                "confidence": 0.55,
                "evidence": ["lowest crank voltage 8.9 V on 2026-01-12, fleet P2"],
                "earliest_failure": "2026-01-20",
                "latest_failure": None,
                "risk_30d": 0.2,
                "risk_90d": 0.55,
                "data_sufficiency": 0.9,
                "reason": None,
                "evidence_details": [
                    {
                        "text": "lowest crank voltage 8.9 V on 2026-01-12, fleet P2",
                        "feature": "crank_min_v_28d",
                        "value": 8.9,
                        "unit": "V",
                        "observed_on": "2026-01-12",
                        "fleet_quantile": 0.02,
                    }
                ],
                "model_id": "20260101T020000Z-1f3c9a",
                "trained_on": {
                    "is_simulated_only": True,
                    "origins": ["simulated"],
                    "vehicle_count": 1000,
                    "failure_count": 412,
                    "landmark_count": 48210,
                    "data_from": "2024-01-01",
                    "data_until": "2025-12-31",
                    "data_hash": "5f2b9c0e",
                },
            }
        ],
        "as_of": "2026-01-18",
        "pending": [],
        "withheld": [],
    }


async def test_the_blueprints_fields_come_first_and_in_its_order(
    world: World, client: httpx.AsyncClient
) -> None:
    prediction = (await ask(world, client))["predictions"][0]
    assert list(prediction)[:5] == [
        "component",
        "risk_level",
        "estimated_failure",
        "confidence",
        "evidence",
    ]


async def test_a_component_that_cannot_be_judged_is_unknown_with_the_reason_and_no_figure(
    world: World, client: httpx.AsyncClient
) -> None:
    body = await ask(world, client, make_unknown_prediction())
    prediction = body["predictions"][0]
    assert (prediction["risk_level"], prediction["reason"]) == (
        "unknown",
        "no 12 V signal in the last 90 days",
    )
    figures = (
        "confidence",
        "risk_30d",
        "risk_90d",
        "estimated_failure",
        "earliest_failure",
        "latest_failure",
    )
    assert {prediction[name] for name in figures} == {None}
    assert (prediction["data_sufficiency"], prediction["evidence"]) == (0.0, [])
    assert body["pending"] == []


@pytest.mark.parametrize("level", ["low", "medium", "high"])
async def test_a_claim_has_no_reason_for_not_being_one(
    level: str, world: World, client: httpx.AsyncClient
) -> None:
    body = await ask(world, client, make_prediction(risk_level=level, reason="left over"))
    assert (body["predictions"][0]["risk_level"], body["predictions"][0]["reason"]) == (level, None)


@pytest.mark.parametrize(
    ("origins", "is_simulated_only"),
    [
        (["simulated"], True),
        (["live", "simulated"], False),
        (["live"], False),
        (["recorded"], False),
        ([], None),
    ],
)
async def test_a_model_that_has_seen_the_simulator_only_says_so(
    origins: list[str], is_simulated_only: bool | None, world: World, client: httpx.AsyncClient
) -> None:
    body = await ask(world, client, make_prediction(trained_on=make_trained_on(origins=origins)))
    assert body["predictions"][0]["trained_on"]["is_simulated_only"] is is_simulated_only


async def test_where_no_model_was_asked_none_is_named(world: World, client: httpx.AsyncClient) -> None:
    body = await ask(world, client, make_unknown_prediction(model_id="", trained_on={}))
    assert (body["predictions"][0]["model_id"], body["predictions"][0]["trained_on"]) == (None, None)


async def test_texts_and_numbers_of_the_evidence_are_the_same_findings(
    world: World, client: httpx.AsyncClient
) -> None:
    findings = [
        make_evidence(),
        make_evidence(
            text="battery age 4.2 years",
            feature="battery_age_days",
            value=1533,
            unit="",
            date=None,
            fleet_quantile=None,
        ),
    ]
    prediction = (await ask(world, client, make_prediction(evidence=findings)))["predictions"][0]
    assert prediction["evidence"] == [each["text"] for each in prediction["evidence_details"]]
    age = prediction["evidence_details"][1]
    assert (age["value"], age["unit"], age["observed_on"], age["fleet_quantile"]) == (1533, None, None, None)


async def test_probabilities_are_rounded_and_never_leave_their_range(
    world: World, client: httpx.AsyncClient
) -> None:
    prediction = make_prediction(risk_30=0.123456789, risk_90=0.99999999, confidence=1.0)
    found = (await ask(world, client, prediction))["predictions"][0]
    assert (found["risk_30d"], found["risk_90d"], found["confidence"]) == (0.1235, 1.0, 1.0)


OLDER = make_document()
del OLDER["maintenance"], OLDER["health"]


@pytest.mark.parametrize(
    "text",
    [
        None,
        b"",
        b"{",
        b"[]",
        b'{"maintenance": NaN}',
        stored(OLDER),
        stored(make_document(maintenance=None)),
        stored(make_document(maintenance={"as_of": "2026-01-18"})),
        stored(make_document(maintenance={"as_of": "soon", "predictions": []})),
        stored(make_document(maintenance=[make_prediction()])),
    ],
)
async def test_a_vehicle_never_scored_or_with_a_damaged_document_has_its_predictions_pending(
    text: bytes | None, world: World, client: httpx.AsyncClient
) -> None:
    if text is not None:
        world.maintenance.stored[VIN] = text
    answer = await client.get(PATH, headers=world.headers())
    assert (answer.status_code, answer.json()) == (
        200,
        {"vin": VIN, "predictions": [], "as_of": None, "pending": ["predictions", "as_of"], "withheld": []},
    )


async def test_when_no_prediction_can_be_read_they_are_pending(
    world: World, client: httpx.AsyncClient
) -> None:
    body = await ask(world, client, make_prediction(confidence="high"))
    assert (body["predictions"], body["pending"], body["as_of"]) == ([], ["predictions"], "2026-01-18")


@pytest.mark.parametrize("query", ["units=metric", "from=2026-01-01", "component=battery"])
async def test_there_is_nothing_to_choose_so_a_parameter_is_a_mistake(
    query: str, world: World, client: httpx.AsyncClient
) -> None:
    answer = await client.get(f"{PATH}?{query}", headers=world.headers())
    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == [f"#/query/{query.split('=')[0]}"]


@pytest.mark.parametrize("kind", PartnerKind)
async def test_every_kind_of_partner_may_read_predictions_by_default(
    kind: PartnerKind, world: World, client: httpx.AsyncClient
) -> None:
    world.change_partner(kind=kind, scopes=DEFAULT_SCOPES[kind])
    world.grant(*DEFAULT_SCOPES[kind])
    assert (await client.get(PATH, headers=world.headers())).status_code == 200


OF_BEFORE = frozenset(Scope) - {Scope.MAINTENANCE_READ}


async def test_a_partner_of_before_is_told_which_scope_it_lacks(
    world: World, client: httpx.AsyncClient
) -> None:
    world.change_partner(scopes=OF_BEFORE)
    answer = await client.get(PATH, headers=world.headers())
    assert answer.status_code == 403
    assert answer.json()["detail"] == "This resource needs a token with the scope maintenance:read."


async def test_a_consent_of_before_is_told_apart_from_the_partners_own_lack(
    world: World, client: httpx.AsyncClient
) -> None:
    world.grant(*OF_BEFORE)
    answer = await client.get(PATH, headers=world.headers())
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:piston:problem:consent-does-not-cover")
    assert "maintenance:read" in answer.json()["detail"]
