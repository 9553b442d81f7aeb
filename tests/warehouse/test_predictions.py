"""A day of predictions is swapped in as a whole. Days here are long past: no other test writes them."""

from datetime import UTC, date, datetime

import pytest

from telematics.errors import ConflictError
from telematics.settings import Settings
from warehouse.clients import clickhouse
from warehouse.predictions import (
    HEALTH_COLUMNS,
    PREDICTION_COLUMNS,
    as_values,
    write_health_scores,
    write_predictions,
)

DAY, NEXT_DAY = date(1999, 3, 1), date(1999, 3, 2)
SCORED_AT = datetime(1999, 3, 2, 2, 20, tzinfo=UTC)


def make_prediction(vin: str = "TESTPRED000000001", **changes: object) -> dict[str, object]:
    return {
        "vin": vin,
        "component": "battery",
        "as_of": DAY,
        "origin": "simulated",
        "risk_level": "medium",
        "risk_30": 0.1,
        "risk_90": 0.35,
        "estimated_failure": None,
        "earliest_failure": date(1999, 3, 20),
        "latest_failure": None,
        "confidence": 0.35,
        "data_sufficiency": 0.9,
        "reason": "",
        "evidence": "[]",
        "survival": [1.0, 0.98, 0.95, 0.9, 0.75, 0.65, 0.6, 0.5, 0.4],
        "model_id": "19990301T000000Z-abc",
        "trained_on": "{}",
        "scored_at": SCORED_AT,
    } | changes


def make_score(vin: str = "TESTPRED000000001", **changes: object) -> dict[str, object]:
    return {
        "vin": vin,
        "as_of": DAY,
        "origin": "simulated",
        "health_score": 77,
        "parts": "[]",
        "rule": "",
        "is_capped": False,
        "scored_at": SCORED_AT,
    } | changes


def test_a_row_of_another_day_is_refused():
    with pytest.raises(ConflictError, match="1999-03-02 among those of 1999-03-01"):
        as_values([make_prediction(), make_prediction(as_of=NEXT_DAY)], PREDICTION_COLUMNS, DAY)


def test_a_row_without_a_column_is_refused_with_its_name():
    row = make_score()
    del row["rule"]
    with pytest.raises(ConflictError, match="lacks rule"):
        as_values([row], HEALTH_COLUMNS, DAY)


def test_values_are_in_the_columns_order():
    [values] = as_values([make_score()], HEALTH_COLUMNS, DAY)
    assert values == [make_score()[name] for name in HEALTH_COLUMNS]


def _rows(settings: Settings, table: str) -> list[tuple]:
    with clickhouse(settings) as client:
        return client.query(
            f"select vin, as_of from analytics.{table} where as_of <= '1999-12-31' order by as_of, vin"
        ).result_rows


def _staged(settings: Settings) -> list[str]:
    with clickhouse(settings) as client:
        found = client.query(
            "select name from system.tables where database = 'analytics' and "
            "(startsWith(name, 'maintenance_predictions__') or startsWith(name, 'health_scores__'))"
        ).result_rows
    return [name for (name,) in found]


@pytest.mark.integration
def test_a_second_scoring_of_a_day_replaces_the_first_and_leaves_other_days(stack: Settings):
    first = [make_prediction("TESTPRED000000001"), make_prediction("TESTPRED000000002")]
    assert write_predictions(stack, DAY, first).row_count == 2
    write_predictions(stack, NEXT_DAY, [make_prediction(as_of=NEXT_DAY)])
    write_predictions(stack, DAY, [make_prediction("TESTPRED000000003")])
    assert _rows(stack, "maintenance_predictions") == [
        ("TESTPRED000000003", DAY),
        ("TESTPRED000000001", NEXT_DAY),
    ]
    write_predictions(stack, DAY, [])
    write_predictions(stack, NEXT_DAY, [])
    assert _rows(stack, "maintenance_predictions") == []
    assert _staged(stack) == []


@pytest.mark.integration
def test_what_was_written_is_read_back_as_it_was(stack: Settings):
    write_predictions(stack, DAY, [make_prediction()])
    write_health_scores(stack, DAY, [make_score(), make_score("TESTPRED000000002", health_score=None)])
    try:
        with clickhouse(stack) as client:
            [row] = client.query(
                f"select {', '.join(PREDICTION_COLUMNS)} from analytics.maintenance_predictions "
                "where as_of = '1999-03-01'"
            ).named_results()
            scores = client.query(
                "select health_score from analytics.health_scores where as_of = '1999-03-01' order by vin"
            ).result_rows
        assert row["scored_at"] == SCORED_AT.replace(tzinfo=None), "the driver leaves UTC out"
        assert {**row, "scored_at": SCORED_AT} == make_prediction()
        assert scores == [(77,), (None,)]
    finally:
        write_predictions(stack, DAY, [])
        write_health_scores(stack, DAY, [])


@pytest.mark.integration
def test_a_failed_scoring_leaves_the_day_as_it_was(stack: Settings):
    write_predictions(stack, DAY, [make_prediction()])
    try:
        with pytest.raises((TypeError, ValueError, AttributeError, OverflowError)):
            write_predictions(stack, DAY, [make_prediction(risk_30="high")])
        assert _rows(stack, "maintenance_predictions") == [("TESTPRED000000001", DAY)]
        assert _staged(stack) == []
    finally:
        write_predictions(stack, DAY, [])
