"""The judge finds what was planted, and nothing where nothing was."""

import dataclasses
from collections import Counter
from datetime import UTC, datetime

import pytest

from tests.ingest.campaign.judge import Stores, Truth, Verdict, judge, parse_live_state
from tests.ingest.campaign.ledger import Identity
from tests.ingest.campaign.traffic import Newest

NOON_MS = 1_741_953_600_000
VIN = "0VE00000000000001"
ACKNOWLEDGED = [Identity("001000000000001", NOON_MS + number * 1000, 0, number) for number in range(5)]
UNACKNOWLEDGED = Identity("001000000000001", NOON_MS + 5000, 0, 5)
FOREIGN = Identity("001000000000009", NOON_MS, 0, 9)
DAY = datetime(2025, 3, 14, tzinfo=UTC).date()
NEWEST = Newest(NOON_MS + 4000, 422_800_000, -837_000_000, 12_700)
LIVE = {
    "seen": (NEWEST.time_ms, {"received_at": "2025-03-14T12:00:05.000Z"}),
    "position": (NEWEST.time_ms, {"lat": 42.28, "lng": -83.7}),
    "battery_voltage": (NEWEST.time_ms, 12.7),
}
TRUTH = Truth({*ACKNOWLEDGED, UNACKNOWLEDGED}, set(ACKNOWLEDGED), {VIN: NEWEST}, {"a", "b"})


def stores(rows: Counter[Identity] | None = None, **overrides: object) -> Stores:
    rows = Counter(ACKNOWLEDGED) if rows is None else rows
    values = {
        "rows": rows,
        "rows_by_day": {DAY: rows.total()},
        "dead_letters": 0,
        "live": {VIN: LIVE},
        "alerts": Counter(["a", "b"]),
        **overrides,
    }
    return Stores(**values)  # type: ignore[arg-type]  # a factory's overrides


def test_stores_that_hold_what_was_acknowledged_pass():
    assert judge(TRUTH, stores()).is_clean


def test_an_unacknowledged_record_may_be_there_once():
    assert judge(TRUTH, stores(Counter([*ACKNOWLEDGED, UNACKNOWLEDGED]))).is_clean


def test_an_unacknowledged_record_is_not_there_twice():
    rows = Counter([*ACKNOWLEDGED, UNACKNOWLEDGED, UNACKNOWLEDGED])
    assert judge(TRUTH, stores(rows)) == Verdict(doubled=1)


def test_a_lost_record_is_found():
    assert judge(TRUTH, stores(Counter(ACKNOWLEDGED[1:]))) == Verdict(lost=1)


def test_a_record_that_differs_in_one_part_of_its_identity_is_lost_and_foreign():
    changed = ACKNOWLEDGED[0]._replace(content_hash=-1)
    assert judge(TRUTH, stores(Counter([changed, *ACKNOWLEDGED[1:]]))) == Verdict(lost=1, foreign=1)


def test_a_doubled_record_is_found():
    assert judge(TRUTH, stores(Counter([*ACKNOWLEDGED, ACKNOWLEDGED[2]]))) == Verdict(doubled=1)


def test_a_foreign_record_is_found():
    assert judge(TRUTH, stores(Counter([*ACKNOWLEDGED, FOREIGN]))) == Verdict(foreign=1)


@pytest.mark.parametrize("days", [{DAY: 4}, {DAY: 6}, {}, {DAY: 5, DAY.replace(day=15): 1}])
def test_a_day_that_was_counted_twice_or_not_is_found(days):
    assert judge(TRUTH, stores(rows_by_day=days)) == Verdict(miscounted_days=1)


def test_a_dead_letter_is_found():
    assert judge(TRUTH, stores(dead_letters=1)) == Verdict(dead_letters=1)


@pytest.mark.parametrize(
    "live",
    [
        {},
        {VIN: {}},
        {VIN: {**LIVE, "seen": (NEWEST.time_ms - 1000, {})}},
        {VIN: {**LIVE, "position": (NEWEST.time_ms + 1000, {"lat": 42.28, "lng": -83.7})}},
        {VIN: {**LIVE, "position": (NEWEST.time_ms, {"lat": 42.2800001, "lng": -83.7})}},
        {VIN: {**LIVE, "battery_voltage": (NEWEST.time_ms, 10.0)}},
        {VIN: {name: LIVE[name] for name in ("seen", "position")}},
        {VIN: LIVE, "0VE00000000000002": LIVE},
    ],
)
def test_live_state_that_is_not_the_newest_record_is_found(live):
    assert judge(TRUTH, stores(live=live)) == Verdict(stale=1)


def test_alerts_that_are_missing_twice_or_of_nobody_are_found():
    assert judge(TRUTH, stores(alerts=Counter("a"))) == Verdict(lost_alerts=1)
    assert judge(TRUTH, stores(alerts=Counter("aab"))) == Verdict(doubled_alerts=1)
    assert judge(TRUTH, stores(alerts=Counter("abc"))) == Verdict(foreign_alerts=1)


def test_any_single_finding_is_no_clean_verdict_and_is_said():
    for field in dataclasses.fields(Verdict):
        verdict = Verdict(**{field.name: 3})
        assert not verdict.is_clean
        assert str(verdict) == f"3 {field.name}"
    assert str(Verdict()) == "nothing"


def test_live_state_is_read_as_valkey_holds_it():
    assert parse_live_state({b"battery_voltage": b"1741953604000|12.7"}) == {
        "battery_voltage": (1_741_953_604_000, 12.7)
    }
