"""Whether a device may move at a time: pure."""

from datetime import UTC, datetime, timedelta

import pytest

from ingest.registry.moving import Move, plan_move
from ingest.registry.registration import Interval, RegistrationConflictError
from ingest.registry.timeline import SINCE_EVER_MS, UNTIL_FOREVER_MS
from telematics.clock import epoch_ms

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOW = NOON + timedelta(days=1)
HERE, THERE = "1HGCM82633A004352", "1HGCM82633A123456"
HOUR = timedelta(hours=1)


def move(at: datetime = NOON, vin: str = THERE) -> Move:
    return Move("356307042441013", vin, at)


def stay(vin: str = HERE, start: datetime | None = None, end: datetime | None = None) -> Interval:
    return Interval(
        vin,
        SINCE_EVER_MS if start is None else epoch_ms(start),
        UNTIL_FOREVER_MS if end is None else epoch_ms(end),
    )


def test_the_present_stay_ends_with_the_move() -> None:
    present = stay(start=NOON - HOUR)
    assert plan_move(move(), [stay(THERE, end=NOON - HOUR), present], NOW) == present
    assert plan_move(move(), [stay()], NOW) == stay()


def test_a_device_in_no_vehicle_only_begins_a_stay() -> None:
    assert plan_move(move(), [], NOW) is None
    assert plan_move(move(), [stay(end=NOON)], NOW) is None, "half-open: it may begin where another ended"


@pytest.mark.parametrize(
    ("wanted", "present", "says"),
    [
        (move(NOW + HOUR), [stay()], "in the future"),
        (move(vin=HERE), [stay()], "already, since ever"),
        (move(), [stay(start=NOON)], "since 2026-01-01T12:00:00.000Z"),
        (move(), [stay(start=NOON + HOUR)], "cannot have left it before"),
        (move(), [stay(THERE, end=NOON + HOUR)], "from ever until 2026-01-01T13:00:00.000Z"),
        (move(), [stay(THERE, NOON - HOUR, NOON + HOUR), stay(start=NOON + 2 * HOUR)], "cannot have left"),
        (move(), [stay(THERE, NOON + HOUR, NOON + 2 * HOUR)], "give --at that end"),
    ],
)
def test_times_that_overlap_or_run_backwards_are_refused_with_a_sentence(
    wanted: Move, present: list[Interval], says: str
) -> None:
    with pytest.raises(RegistrationConflictError, match=says) as refused:
        plan_move(wanted, present, NOW)
    assert wanted.imei not in str(refused.value)
