from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telematics import clock, units


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_epoch_milliseconds_survive_the_way_there_and_back(ms: int) -> None:
    assert clock.epoch_ms(clock.from_epoch_ms(ms)) == ms


def test_rfc3339_is_utc_with_milliseconds_whatever_the_zone() -> None:
    moment = datetime(2026, 1, 31, 10, 15, 0, 250_999, tzinfo=timezone(timedelta(hours=1)))
    assert clock.rfc3339_ms(moment) == "2026-01-31T09:15:00.250Z"


def test_a_day_starts_at_midnight_utc() -> None:
    assert clock.day_start(datetime(2026, 3, 1, 23, 59, tzinfo=UTC).date()) == datetime(
        2026, 3, 1, tzinfo=UTC
    )


@given(st.integers(0, 65_535))
def test_whole_kilometres_per_hour_come_back_from_miles(kph: int) -> None:
    assert round(units.kph_from_mph(units.mph_from_kph(kph))) == kph


def test_a_mile_and_a_foot_are_exact() -> None:
    assert units.metres_from_miles(1) == 1609.344
    assert units.feet_from_metres(-6) == pytest.approx(-19.685, abs=1e-3)
