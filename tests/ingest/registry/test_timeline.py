import pytest

from ingest.registry.timeline import (
    SINCE_EVER_MS,
    UNTIL_FOREVER_MS,
    Installation,
    InstallationTimeline,
)
from telematics.names import Origin

IMEI = "356307042441013"
FIRST, SECOND = "1HGCM82633A123456", "WVWZZZ1JZXW000001"


def make(number: int, vin: str, start_ms: int, end_ms: int) -> Installation:
    return Installation(number, IMEI, vin, Origin.LIVE, start_ms, end_ms, None)


@pytest.fixture
def timeline() -> InstallationTimeline:
    """In one vehicle until 1000, on the shelf until 2000, in another since; given out of order."""
    return InstallationTimeline(
        {IMEI: "F"}, [make(2, SECOND, 2000, UNTIL_FOREVER_MS), make(1, FIRST, SINCE_EVER_MS, 1000)]
    )


@pytest.mark.parametrize(
    ("time_ms", "vin"),
    [
        (-(10**15), FIRST),
        (999, FIRST),
        (1000, None),
        (1999, None),
        (2000, SECOND),
        (10**15, SECOND),
    ],
)
def test_the_vehicle_is_the_one_at_that_time_half_open(timeline, time_ms, vin):
    found = timeline.at(IMEI, time_ms)
    assert (found.vin if found else None) == vin


def test_an_unknown_device_has_no_vehicle_and_no_family(timeline):
    assert timeline.at("0" * 15, 0) is None
    assert timeline.family("0" * 15) is None
    assert "0" * 15 not in timeline


def test_a_device_without_vehicle_keeps_its_family():
    timeline = InstallationTimeline({IMEI: "6xx"}, [])
    assert timeline.family(IMEI) == "6xx"
    assert timeline.at(IMEI, 0) is None
    assert timeline.installations(IMEI) == ()


def test_before_the_first_installation_there_is_no_vehicle():
    timeline = InstallationTimeline({IMEI: "F"}, [make(1, FIRST, 500, UNTIL_FOREVER_MS)])
    assert timeline.at(IMEI, 499) is None
    assert [item.installation_id for item in timeline.installations(IMEI)] == [1]
