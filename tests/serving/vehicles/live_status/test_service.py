from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from serving.scopes import Scope
from serving.vehicles.live_status.repository import LiveState, Signal
from serving.vehicles.live_status.schemas import LiveStatusMetricRead, LiveStatusRead
from serving.vehicles.live_status.service import build_live_status
from serving.vehicles.units import Units
from tests.serving.world import VIN, World

T = datetime(2025, 12, 6, 6, 55, tzinfo=UTC)

SIGNALS: dict[str, Any] = {
    "position": {
        "lat": 37.774929,
        "lng": -122.419416,
        "accuracy_m": 5.0,
        "heading": 214,
        "altitude_ft": 52.5,
        "satellites": 9,
        "is_valid": True,
    },
    "speed_mph": 31.4,
    "odometer": {"miles": 45632.11731, "source": "gnss"},
    "battery_voltage": 12.4,
    "fuel_pct": 62,
    "dtc_codes": ["P0300"],
    "ignition": True,
    "seen": {"received_at": "2025-12-06T06:55:00.400Z"},
}
SCORES: dict[str, Any] = {
    "vin": VIN,
    "as_of": "2025-12-05",
    "odometer": {"miles": 45600.0, "source": "gps_continuous", "date": "2025-12-05"},
    "driving": {
        "avg_speed_mph_7d": 32.04,
        "hard_brakes_7d": 3,
        "hard_accels_7d": 0,
        "distance_mi_7d": 120.5,
        "trips_7d": 14,
        "days_with_data_7d": 6,
    },
}


def make_state(signals: dict[str, Any] | None = None, scores: dict[str, Any] | None = None) -> LiveState:
    merged = {**SIGNALS, **(signals or {})}
    return LiveState(
        {name: Signal(T, value) for name, value in merged.items() if value is not None},
        {**SCORES, **(scores or {})},
    )


async def build(world: World, state: LiveState, *scopes: Scope) -> LiveStatusRead:
    answer = build_live_status(await world.access(*scopes), state)
    assert isinstance(answer, LiveStatusRead)
    return answer


async def test_the_answer_has_the_blueprints_shape_and_values(world: World) -> None:
    answer = (await build(world, make_state())).model_dump(mode="json")
    assert answer["vin"] == VIN
    assert answer["last_seen"] == "2025-12-06T06:55:00.000Z"
    assert answer["current_odometer"] == 45632.117
    assert answer["location"] == {"lat": 37.774929, "lng": -122.419416, "accuracy_m": 5.0}
    assert answer["vehicle_health"] == {
        "battery_voltage": 12.4,
        "active_dtc_codes": ["P0300"],
        "health_score": None,
    }
    assert answer["driving_behavior"] == {
        "avg_speed_7d": 32.04,
        "hard_brakes_7d": 3,
        "score": None,
        "as_of": "2025-12-05",
    }
    assert answer["pending"] == ["vehicle_health.health_score", "driving_behavior.score"]
    assert answer["withheld"] == []


async def test_metric_names_each_unit_and_leaves_no_imperial_name_behind(world: World) -> None:
    answer = build_live_status(await world.access(), make_state(), Units.METRIC)
    assert isinstance(answer, LiveStatusMetricRead)
    body = answer.model_dump()
    assert body["current_odometer_km"] == pytest.approx(45632.11731 * 1.609344, abs=0.001)
    assert body["driving_behavior"]["avg_speed_7d_kph"] == pytest.approx(32.04 * 1.609344, abs=0.01)
    assert "current_odometer" not in body
    assert "avg_speed_7d" not in body["driving_behavior"]


async def test_a_vehicle_that_never_spoke_is_all_pending(world: World) -> None:
    answer = await build(world, LiveState())
    assert answer.last_seen is None
    assert answer.pending == [
        "last_seen",
        "current_odometer",
        "location",
        "vehicle_health.battery_voltage",
        "vehicle_health.active_dtc_codes",
        "vehicle_health.health_score",
        "driving_behavior.avg_speed_7d",
        "driving_behavior.hard_brakes_7d",
        "driving_behavior.score",
        "driving_behavior.as_of",
    ]


async def test_no_trouble_codes_and_codes_not_known_are_told_apart(world: World) -> None:
    none = await build(world, make_state({"dtc_codes": []}))
    unknown = await build(world, make_state({"dtc_codes": None}))
    assert none.vehicle_health.active_dtc_codes == []
    assert unknown.vehicle_health.active_dtc_codes is None
    path = "vehicle_health.active_dtc_codes"
    assert (path in none.pending, path in unknown.pending) == (False, True)


@pytest.mark.parametrize(
    "position",
    [
        None,
        {**SIGNALS["position"], "is_valid": False},
        {"lat": None, "lng": 1.0},
        {"lat": 214.7, "lng": 1.0},
        {"lat": 1.0, "lng": "east"},
    ],
)
async def test_without_a_valid_fix_there_is_no_location(position: Any, world: World) -> None:
    answer = await build(world, make_state({"position": position}))
    assert answer.location is None
    assert "location" in answer.pending
    assert "location" not in answer.observed_at


async def test_a_zero_is_a_value_and_not_a_gap(world: World) -> None:
    driving = {"avg_speed_mph_7d": 0.0, "hard_brakes_7d": 0}
    answer = await build(world, make_state({"odometer": {"miles": 0}}, {"driving": driving}))
    assert (answer.current_odometer, answer.driving_behavior.hard_brakes_7d) == (0, 0)
    assert answer.pending == ["vehicle_health.health_score", "driving_behavior.score"]


async def test_hard_brakes_that_no_device_reports_are_pending_not_zero(world: World) -> None:
    answer = await build(world, make_state(scores={"driving": {"hard_brakes_7d": None}}))
    assert answer.driving_behavior.hard_brakes_7d is None
    assert "driving_behavior.hard_brakes_7d" in answer.pending


async def test_each_value_says_when_the_device_measured_it(world: World) -> None:
    state = make_state()
    older = {**state.signals, "position": Signal(T - timedelta(hours=1), SIGNALS["position"])}
    answer = await build(world, LiveState(older, state.scores))
    assert answer.observed_at["location"] == "2025-12-06T05:55:00.000Z"
    assert answer.observed_at["current_odometer"] == "2025-12-06T06:55:00.000Z"


async def test_a_lost_live_odometer_is_replaced_by_the_published_one(world: World) -> None:
    answer = await build(world, make_state({"odometer": None}))
    assert answer.current_odometer == 45600.0
    assert "current_odometer" not in answer.observed_at


BASE = [Scope.TELEMETRY_READ]


@pytest.mark.parametrize(
    ("scopes", "withheld"),
    [
        (BASE, ["current_odometer", "location", "vehicle_health.active_dtc_codes", "driving_behavior.score"]),
        (
            [*BASE, Scope.ODOMETER_READ],
            ["location", "vehicle_health.active_dtc_codes", "driving_behavior.score"],
        ),
        ([*BASE, Scope.LOCATION_COARSE, Scope.ODOMETER_READ, Scope.DTC_READ], ["driving_behavior.score"]),
        (list(Scope), []),
    ],
)
async def test_what_the_scopes_do_not_cover_is_null_and_listed_as_withheld_only(
    scopes: list[Scope], withheld: list[str], world: World
) -> None:
    for state in (make_state(), LiveState()):
        answer = await build(world, state, *scopes)
        assert answer.withheld == withheld
        assert set(answer.pending).isdisjoint(withheld)
        for path in withheld:
            value: Any = answer
            for part in path.split("."):
                value = getattr(value, part)
            assert value is None
            assert path not in answer.observed_at


async def test_a_coarse_location_is_rounded_and_says_how_far_it_may_be_off(world: World) -> None:
    answer = await build(world, make_state(), *BASE, Scope.LOCATION_COARSE)
    assert answer.location is not None
    assert (answer.location.lat, answer.location.lng) == (37.77, -122.42)
    assert answer.location.accuracy_m == 795.0
    assert answer.location_precision == "coarse"


async def test_precise_beats_coarse_and_none_is_none(world: World) -> None:
    both = await build(world, make_state(), *BASE, Scope.LOCATION_COARSE, Scope.LOCATION_PRECISE)
    neither = await build(world, make_state(), *BASE)
    assert (both.location_precision, neither.location_precision) == ("precise", None)
    assert neither.location is None


async def test_an_accuracy_that_is_not_known_stays_unknown(world: World) -> None:
    position = {**SIGNALS["position"], "accuracy_m": None}
    answer = await build(world, make_state({"position": position}), *BASE, Scope.LOCATION_COARSE)
    assert answer.location is not None
    assert answer.location.accuracy_m is None


async def test_the_weeks_last_day_is_a_date(world: World) -> None:
    assert (await build(world, make_state())).driving_behavior.as_of == date(2025, 12, 5)
