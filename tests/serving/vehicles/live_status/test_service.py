from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from serving.scopes import Scope
from serving.vehicles.live_status.repository import LiveState, Signal
from serving.vehicles.live_status.schemas import LiveStatusMetricRead, LiveStatusRead
from serving.vehicles.live_status.service import build_live_status
from serving.vehicles.scores import parse_scores
from serving.vehicles.units import Units
from tests.serving.published import make_document, make_health, make_part, stored
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
HEALTH = ("health_score", "health_parts", "health_rule", "health_is_capped", "health_as_of")
HEALTH_PATHS = [f"vehicle_health.{name}" for name in HEALTH]


def make_state(signals: dict[str, Any] | None = None, scores: dict[str, Any] | None = None) -> LiveState:
    merged = {**SIGNALS, **(signals or {})}
    return LiveState(
        {name: Signal(T, value) for name, value in merged.items() if value is not None},
        parse_scores(stored(make_document(**(scores or {})))),
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
        "health_score": 96,
        "health_parts": [
            {
                "component": "battery",
                "survival_90d": 0.93,
                "weight": 0.6,
                "points_lost": 4.3,
                "status": "known",
                "reason": None,
            }
        ],
        "health_rule": "100 × product of survival ^ weight",
        "health_is_capped": False,
        "health_as_of": "2026-01-18",
    }
    assert answer["driving_behavior"] == {
        "avg_speed_7d": 32.04,
        "hard_brakes_7d": 3,
        "score": None,
        "as_of": "2025-12-05",
    }
    assert answer["pending"] == ["driving_behavior.score"]
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
        *HEALTH_PATHS,
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
    assert answer.pending == ["driving_behavior.score"]


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
        (
            BASE,
            [
                "current_odometer",
                "location",
                "vehicle_health.active_dtc_codes",
                *HEALTH_PATHS,
                "driving_behavior.score",
            ],
        ),
        (
            [*BASE, Scope.ODOMETER_READ, Scope.MAINTENANCE_READ],
            ["location", "vehicle_health.active_dtc_codes", "driving_behavior.score"],
        ),
        (
            [*BASE, Scope.LOCATION_COARSE, Scope.ODOMETER_READ, Scope.DTC_READ],
            [*HEALTH_PATHS, "driving_behavior.score"],
        ),
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


async def test_a_car_without_12_v_has_no_score_and_a_part_that_says_why(world: World) -> None:
    part = make_part(survival_90=None, points_lost=None, status="unknown", reason="no 12 V signal")
    answer = await build(world, make_state(scores={"health": make_health(score=None, parts=[part])}))
    assert answer.vehicle_health.health_score is None
    assert answer.vehicle_health.health_parts is not None
    (battery,) = answer.vehicle_health.health_parts
    assert (battery.component, battery.status, battery.reason) == ("battery", "unknown", "no 12 V signal")
    assert (battery.survival_90d, battery.points_lost) == (None, None)
    assert answer.pending == ["vehicle_health.health_score", "driving_behavior.score"]


async def test_a_capped_score_says_that_it_is(world: World) -> None:
    answer = await build(world, make_state(scores={"health": make_health(score=40, is_capped=True)}))
    assert (answer.vehicle_health.health_score, answer.vehicle_health.health_is_capped) == (40, True)


@pytest.mark.parametrize("may_read_codes", [True, False])
async def test_which_codes_cap_a_score_is_for_those_who_may_read_codes(
    may_read_codes: bool, world: World
) -> None:
    cap = make_part(
        component="safety_critical_codes",
        survival_90=None,
        weight=0.0,
        points_lost=56.0,
        reason="active: C0035",
    )
    state = make_state(scores={"health": make_health(score=40, is_capped=True, parts=[make_part(), cap])})
    scopes = set(Scope) if may_read_codes else set(Scope) - {Scope.DTC_READ}
    answer = await build(world, state, *scopes)
    assert answer.vehicle_health.health_parts is not None
    shown = answer.vehicle_health.health_parts[1]
    assert shown.points_lost == 56.0
    path = "vehicle_health.health_parts.safety_critical_codes.reason"
    assert (shown.reason, path in answer.withheld) == (
        ("active: C0035", False) if may_read_codes else (None, True)
    )
    assert may_read_codes or "C0035" not in answer.model_dump_json()


async def test_that_a_score_is_capped_shows_nowhere_without_the_scope(world: World) -> None:
    cap = make_part(component="safety_critical_codes", reason="active: C0035")
    health = make_health(score=40, is_capped=True, parts=[make_part(), cap])
    capped = await build(world, make_state(scores={"health": health}), *BASE)
    free = await build(world, make_state(), *BASE)
    assert capped == free


async def test_a_score_of_zero_is_a_score(world: World) -> None:
    answer = await build(world, make_state(scores={"health": make_health(score=0)}))
    assert answer.vehicle_health.health_score == 0
    assert "vehicle_health.health_score" not in answer.pending


@pytest.mark.parametrize("section", ["health", "driving", "odometer", "as_of", "maintenance"])
@pytest.mark.parametrize("damage", [None, [], "text", 7, {"score": "good", "hard_brakes_7d": "many"}])
async def test_a_damaged_published_section_leaves_its_fields_pending_and_the_others_there(
    section: str, damage: Any, world: World
) -> None:
    answer = await build(world, make_state({"odometer": None}, {section: damage}))
    expected = {
        "health": set(HEALTH_PATHS),
        "driving": {"driving_behavior.avg_speed_7d", "driving_behavior.hard_brakes_7d"},
        "odometer": {"current_odometer"},
        "as_of": {"driving_behavior.as_of"},
        "maintenance": set(),
    }[section]
    assert set(answer.pending) == {"driving_behavior.score", *expected}
