"""The published document is read for what it is worth, whoever wrote it."""

import json
from datetime import date
from typing import Any

import pytest
import structlog

from ml import claims
from serving.vehicles.scores import RiskLevel, Scores, parse_scores
from tests.serving.published import (
    make_document,
    make_evidence,
    make_health,
    make_maintenance,
    make_part,
    make_prediction,
    make_trained_on,
    stored,
)

SECTIONS = ("odometer", "driving", "maintenance", "health")


@pytest.mark.parametrize(
    "text", [None, b"", b"[]", b"{", b"null", b"7", b"\xff", b'{"as_of": NaN}', b"[" * 9999]
)
def test_a_document_that_is_missing_or_damaged_is_no_document(text: bytes | None) -> None:
    assert parse_scores(text) == Scores()


def test_risk_levels_are_the_models_words() -> None:
    assert {each.value for each in RiskLevel} == {each.value for each in claims.RiskLevel}


def test_every_section_is_read() -> None:
    scores = parse_scores(stored(make_document()))
    assert scores.as_of == date(2025, 12, 5)
    assert all(getattr(scores, section) is not None for section in SECTIONS)


def test_a_document_of_an_older_release_has_neither_predictions_nor_health() -> None:
    document = make_document()
    del document["maintenance"], document["health"]
    scores = parse_scores(stored(document))
    assert (scores.maintenance, scores.health) == (None, None)
    assert scores.driving is not None


def test_what_a_newer_release_added_is_ignored() -> None:
    new: dict[str, Any] = {"of_tomorrow": {"deep": [1]}}
    document = make_document(
        maintenance=make_maintenance(
            make_prediction(evidence=[make_evidence(**new)], trained_on=make_trained_on(**new), **new),
            **new,
        ),
        health=make_health(parts=[make_part(**new)], **new),
        **new,
    )
    assert parse_scores(stored(document)) == parse_scores(stored(make_document()))


@pytest.mark.parametrize("section", SECTIONS)
@pytest.mark.parametrize("damage", [[], 7, "text", {"as_of": "soon"}, True])
def test_a_damaged_section_does_not_take_the_others_with_it(section: str, damage: Any) -> None:
    scores = parse_scores(stored(make_document(**{section: damage})))
    if section != "driving" or not isinstance(damage, dict):  # every field of driving may be missing
        assert getattr(scores, section) is None
    assert all(getattr(scores, other) is not None for other in SECTIONS if other != section)


@pytest.mark.parametrize("as_of", ["soon", "2025-13-01", [], {}, "2025-12-05T07:00:00Z", 1.5])
def test_a_damaged_day_is_no_day(as_of: Any) -> None:
    scores = parse_scores(stored(make_document(as_of=as_of)))
    assert scores.as_of is None
    assert scores.driving is not None


@pytest.mark.parametrize(
    "damage",
    [
        {"risk_level": "critical"},
        {"risk_level": None},
        {"confidence": 1.2},
        {"confidence": "high"},
        {"risk_90": -0.1},
        {"data_sufficiency": None},
        {"estimated_failure": "spring"},
        {"evidence": "battery is old"},
        {"evidence": [{"text": "no feature"}]},
        {"trained_on": ["simulated"]},
        {"component": None},
    ],
)
def test_a_damaged_prediction_does_not_take_the_other_ones_with_it(damage: dict[str, Any]) -> None:
    maintenance = make_maintenance(make_prediction(**damage), make_prediction(component="brakes"))
    scores = parse_scores(stored(make_document(maintenance=maintenance)))
    assert scores.maintenance is not None
    assert [each.component for each in scores.maintenance.predictions] == ["brakes"]


@pytest.mark.parametrize(
    "damage",
    [
        {"score": 101},
        {"score": -1},
        {"score": 81.5},
        {"parts": None},
        {"parts": [make_part(status="perhaps")]},
        {"parts": [make_part(survival_90=2)]},
        {"is_capped": "perhaps"},
        {"rule": None},
    ],
)
def test_a_health_score_that_cannot_be_is_none(damage: dict[str, Any]) -> None:
    assert parse_scores(stored(make_document(health=make_health(**damage)))).health is None


def test_the_log_says_which_field_is_damaged_and_not_what_it_held() -> None:
    prediction = make_prediction(component="battery", confidence="a secret")
    with structlog.testing.capture_logs() as entries:
        parse_scores(stored(make_document(maintenance=make_maintenance(prediction))))
    assert [(each["event"], each["section"], each["fields"]) for each in entries] == [
        ("damaged_scores", "prediction", ["confidence"])
    ]
    assert "a secret" not in json.dumps(entries)
