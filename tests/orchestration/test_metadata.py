"""What the web server shows of loads and scorings."""

from datetime import date

from orchestration.history import BACKFILL_LOADS, LOADED_SIGNALS, SERVICE_LEDGER, backfill_metadata
from orchestration.scoring import ScoringReport
from orchestration.scoring_assets import HEALTH_SCORES, PREDICTIONS, scoring_metadata
from warehouse.backfill import BackfillReport


def test_a_load_shows_what_was_set_aside_and_why():
    report = BackfillReport(
        load_id="abc",
        is_new=True,
        day_rows=10,
        service_record_rows=2,
        vehicle_rows=3,
        rejected={"service_records.parquet: unknown VIN": 4, "service_records.parquet: in the future": 1},
        first_day=date(2026, 1, 1),
        last_day=None,
        seconds=1.23456,
    )
    metadata = backfill_metadata(report)
    assert set(metadata) == {LOADED_SIGNALS, BACKFILL_LOADS, SERVICE_LEDGER}
    signals = {name: value.value for name, value in metadata[LOADED_SIGNALS].items()}
    assert (signals["rows"], signals["rejected_rows"]) == (10, 5)
    assert signals["rejected"] == report.rejected
    assert (signals["first_day"], signals["last_day"]) == ("2026-01-01", "none")
    assert all(each["load_id"].value == "abc" for each in metadata.values())


def test_a_scoring_shows_the_levels_and_the_unknown():
    report = ScoringReport(
        date(2026, 1, 1),
        model_id="m",
        levels={"low": 5, "unknown": 2},
        origins={"live": 3, "simulated": 4},
        scored_health=5,
        seconds=2.0,
    )
    metadata = scoring_metadata(report)
    predictions = {name: value.value for name, value in metadata[PREDICTIONS].items()}
    assert (predictions["vehicles"], predictions["risk_low"], predictions["risk_unknown"]) == (7, 5, 2)
    assert metadata[HEALTH_SCORES]["unknown"].value == 2


def test_a_scoring_of_nothing_shows_the_reason_on_both_assets():
    metadata = scoring_metadata(ScoringReport(None, note="no battery model has been promoted"))
    assert {key: value["note"].value for key, value in metadata.items()} == dict.fromkeys(
        (PREDICTIONS, HEALTH_SCORES), "no battery model has been promoted"
    )
