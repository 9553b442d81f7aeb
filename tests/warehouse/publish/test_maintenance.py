"""Predictions and health scores on their way into Redis."""

import json
from datetime import date
from typing import Any

import pytest
import redis
from clickhouse_connect.driver.client import Client

from telematics.errors import UnavailableError
from tests.warehouse.conftest import Fleet
from tests.warehouse.publish.planting import EVIDENCE, PART, TRAINED_ON, plant_health, plant_prediction
from warehouse.publish import publish_summaries

pytestmark = pytest.mark.integration


def document(published: redis.Redis, vin: str) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    found: dict[str, Any] = json.loads(str(published.get(f"scores:{vin}")), parse_constant=refuse)
    return found


def test_a_vehicle_that_only_the_models_know_is_published_with_both_sections(
    fleet: Fleet, marts: Client, published: redis.Redis
) -> None:
    _, vin = fleet.install()
    plant_prediction(marts, vin, fleet.day(3))
    plant_health(marts, vin, fleet.day(3))
    report = publish_summaries(fleet.settings, fleet.day(4))
    assert report.predicted_count >= 1
    assert document(published, vin) == {
        "vin": vin,
        "as_of": None,
        "odometer": None,
        "driving": None,
        "maintenance": {
            "as_of": fleet.day(3).isoformat(),
            "predictions": [
                {
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
                    "evidence": [EVIDENCE],
                    "model_id": "20260101T000000Z-abc",
                    "trained_on": TRAINED_ON,
                }
            ],
        },
        "health": {
            "as_of": fleet.day(3).isoformat(),
            "score": 96,
            "parts": [PART],
            "rule": "100 * prod S^w",
            "is_capped": False,
        },
    }


def test_each_vehicle_gets_its_own_newest_day_and_nothing_later_than_asked(
    fleet: Fleet, marts: Client, published: redis.Redis
) -> None:
    _, fresh = fleet.install()
    _, stale = fleet.install()
    for day, level in ((1, "low"), (2, "medium"), (3, "high"), (9, "low")):
        plant_prediction(marts, fresh, fleet.day(day), risk_level=level)
        plant_health(marts, fresh, fleet.day(day), health_score=100 - day)
    plant_prediction(marts, stale, fleet.day(1), risk_level="unknown")
    plant_health(marts, stale, fleet.day(1), health_score=None)
    publish_summaries(fleet.settings, fleet.day(3))
    newest = document(published, fresh)
    assert newest["maintenance"]["as_of"] == fleet.day(3).isoformat()
    assert [each["risk_level"] for each in newest["maintenance"]["predictions"]] == ["high"]
    assert newest["health"]["score"] == 97
    kept = document(published, stale)
    assert (kept["maintenance"]["as_of"], kept["health"]["score"]) == (fleet.day(1).isoformat(), None)


def test_a_vehicle_with_two_components_has_both_in_one_order(
    fleet: Fleet, marts: Client, published: redis.Redis
) -> None:
    _, vin = fleet.install()
    for component in ("brakes", "battery"):
        plant_prediction(marts, vin, fleet.day(), component=component)
    publish_summaries(fleet.settings, fleet.day())
    predictions = document(published, vin)["maintenance"]["predictions"]
    assert [each["component"] for each in predictions] == ["battery", "brakes"]


def test_what_is_not_a_number_is_published_as_null(
    fleet: Fleet, marts: Client, published: redis.Redis
) -> None:
    _, vin = fleet.install()
    evidence = [{**EVIDENCE, "value": float("nan"), "contribution": float("-inf")}]
    plant_prediction(
        marts,
        vin,
        fleet.day(),
        risk_30=float("nan"),
        confidence=float("inf"),
        evidence=json.dumps(evidence),
        trained_on=json.dumps({"origins": ["simulated"], "share": float("nan")}),
    )
    plant_health(marts, vin, fleet.day(), parts=json.dumps([{**PART, "survival_90": float("nan")}]))
    publish_summaries(fleet.settings, fleet.day())
    found = document(published, vin)
    prediction = found["maintenance"]["predictions"][0]
    assert (prediction["risk_30"], prediction["confidence"]) == (None, None)
    assert prediction["evidence"] == [{**EVIDENCE, "value": None, "contribution": None}]
    assert prediction["trained_on"]["share"] is None
    assert found["health"]["parts"][0]["survival_90"] is None


@pytest.mark.parametrize("damaged", [{"evidence": "{"}, {"evidence": "{}"}, {"trained_on": "[]"}])
def test_a_damaged_row_is_left_out_and_counted_and_the_others_are_published(
    damaged: dict[str, str], fleet: Fleet, marts: Client, published: redis.Redis
) -> None:
    _, sound = fleet.install()
    _, broken = fleet.install()
    before = publish_summaries(fleet.settings, fleet.day()).unreadable_count
    plant_prediction(marts, sound, fleet.day())
    plant_prediction(marts, broken, fleet.day(), **damaged)
    plant_health(marts, broken, fleet.day(), parts="")
    plant_prediction(marts, broken, fleet.day(), component="brakes")
    report = publish_summaries(fleet.settings, fleet.day())
    assert report.unreadable_count == before + 2
    assert document(published, sound)["maintenance"] is not None
    rest = document(published, broken)
    assert [each["component"] for each in rest["maintenance"]["predictions"]] == ["brakes"]
    assert rest["health"] is None


def test_nothing_is_written_when_the_last_table_cannot_be_read(
    fleet: Fleet, marts: Client, published: redis.Redis
) -> None:
    _, vin = fleet.install()
    plant_prediction(marts, vin, fleet.day())
    publish_summaries(fleet.settings, fleet.day())
    before = published.get(f"scores:{vin}")
    plant_prediction(marts, vin, fleet.day(1), risk_level="high")
    marts.command("rename table analytics.health_scores to analytics.health_scores_away")
    try:
        with pytest.raises(UnavailableError, match="ClickHouse"):
            publish_summaries(fleet.settings, fleet.day(1))
    finally:
        marts.command("rename table analytics.health_scores_away to analytics.health_scores")
    assert published.get(f"scores:{vin}") == before


def test_a_prediction_of_before_the_vehicles_newest_drive_stays_beside_it(
    fleet: Fleet, marts: Client, published: redis.Redis
) -> None:
    _, vin = fleet.install()
    marts.insert(
        "analytics.vehicle_analytics",
        [[fleet.day(5), vin, 1_609.344, 100.0, 1, 0, True, 2]],
        column_names=[
            "date",
            "vin",
            "distance_m",
            "driving_s",
            "hard_brakes",
            "hard_accels",
            "reports_harsh_events",
            "trip_count",
        ],
    )
    plant_prediction(marts, vin, fleet.day(2))
    publish_summaries(fleet.settings, date(2026, 1, 1))
    found = document(published, vin)
    assert found["as_of"] == fleet.day(5).isoformat()
    assert found["maintenance"]["as_of"] == fleet.day(2).isoformat()
