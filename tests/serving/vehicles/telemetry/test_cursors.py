import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.problems.errors import CursorRefusedError
from serving.time_range import TimeRange, parse_moment
from serving.vehicles.telemetry.cursors import CursorSeal, SealedPosition
from serving.vehicles.units import Units
from tests.serving.world import OTHER_VIN, VIN, World
from warehouse.history import Resolution

SPAN = TimeRange(parse_moment("2026-01-01"), parse_moment("2026-02-01T00:00:00.123456Z"))
POSITION = SealedPosition(SPAN, Units.METRIC, Resolution.HOUR, ("location", "speed"), "inner-cursor_42")
SEAL = CursorSeal(b"k" * 32)


async def test_a_cursor_says_what_was_sealed_into_it(world: World) -> None:
    access = await world.access()
    cursor = SEAL.seal(access, POSITION)
    assert SEAL.open(access, cursor) == POSITION
    assert cursor.replace("-", "").replace("_", "").isalnum()


async def test_a_cursor_of_another_vehicle_or_key_is_refused(world: World) -> None:
    cursor = SEAL.seal(await world.access(), POSITION)
    with pytest.raises(CursorRefusedError):
        SEAL.open(await world.access(vin=OTHER_VIN), cursor)
    with pytest.raises(CursorRefusedError):
        CursorSeal(b"x" * 32).open(await world.access(), cursor)


async def test_a_cursor_of_many_vehicles_is_for_the_same_ones_whatever_may_be_read(world: World) -> None:
    cursor = SEAL.seal(await world.access_many(VIN, OTHER_VIN), POSITION)
    world.grants.stored.clear()
    assert SEAL.open(await world.access_many(OTHER_VIN, VIN, VIN), cursor) == POSITION
    for other in (await world.access_many(VIN), await world.access(vin=VIN)):
        with pytest.raises(CursorRefusedError):
            SEAL.open(other, cursor)


async def test_changing_any_character_spoils_the_cursor(world: World) -> None:
    access = await world.access()
    cursor = SEAL.seal(access, POSITION)
    for at in range(len(cursor) - 1):  # the last one carries bits that base64 does not use
        with pytest.raises(CursorRefusedError):
            SEAL.open(access, cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=200))
async def test_no_text_whatsoever_breaks_the_seal(text: str, world: World) -> None:
    access = await world.access()
    with pytest.raises(CursorRefusedError):
        SEAL.open(access, text)
