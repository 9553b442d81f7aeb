"""Builds a vehicle's live status from what is known and allowed."""

from typing import Any

from serving.consent.gate import VehicleAccess
from serving.scopes import Scope
from serving.vehicles.disclosure import Disclosure, Value
from serving.vehicles.live_status.repository import LiveState, LiveStateReader, Signal
from serving.vehicles.live_status.schemas import (
    DrivingBehaviorMetricRead,
    DrivingBehaviorRead,
    HealthPartRead,
    LiveStatusMetricRead,
    LiveStatusRead,
    LocationRead,
    VehicleHealthRead,
)
from serving.vehicles.location import Position, maybe_position, precision_allowed, shown_at
from serving.vehicles.scores import Driving, HealthPart, PartStatus
from serving.vehicles.units import Units, distance, single_precision, speed
from telematics.clock import rfc3339_ms

_BASE = (Scope.TELEMETRY_READ,)
_ODOMETER = (Scope.ODOMETER_READ,)
_LOCATION = (Scope.LOCATION_PRECISE, Scope.LOCATION_COARSE)
_DTC = (Scope.DTC_READ,)
_MAINTENANCE = (Scope.MAINTENANCE_READ,)
_SCORE = (Scope.SCORE_READ,)


def _value(signal: Signal | None) -> Any:
    return None if signal is None else signal.value


def _position(signal: Signal | None) -> Position | None:
    """The signal's position; None without a valid fix."""
    value = _value(signal)
    if not isinstance(value, dict) or value.get("is_valid") is False:
        return None
    return maybe_position(value.get("lat"), value.get("lng"), value.get("accuracy_m"))


def _odometer_miles(state: LiveState) -> float | None:
    """The live odometer, or where the live state lacks one (it was lost) the last one published."""
    live = _value(state.signals.get("odometer"))
    if isinstance(live, dict) and live.get("miles") is not None:
        return float(live["miles"])
    published = state.scores.odometer
    return None if published is None else published.miles


def _health_part(known: HealthPart, fields: Disclosure) -> HealthPartRead:
    """The part; what is said of a judged one names trouble codes, so it is theirs to disclose."""
    reason: str | None = known.reason or None
    if reason is not None and known.status is PartStatus.KNOWN:
        reason = fields.field(f"vehicle_health.health_parts.{known.component}.reason", reason, _DTC)
    return HealthPartRead(
        component=known.component,
        survival_90d=None if known.survival_90 is None else round(known.survival_90, 4),
        weight=known.weight,
        points_lost=None if known.points_lost is None else round(known.points_lost, 1),
        status=known.status,
        reason=reason,
    )


def _vehicle_health(fields: Disclosure, state: LiveState) -> VehicleHealthRead:
    """Live values of the vehicle's state, and the health score of the last scored day."""
    known = state.scores.health
    battery_v = single_precision(_value(state.signals.get("battery_voltage")))
    dtc_codes = _value(state.signals.get("dtc_codes"))

    def scored(name: str, value: Value | None) -> Value | None:
        return fields.field(f"vehicle_health.{name}", value, _MAINTENANCE)

    battery_v = fields.field("vehicle_health.battery_voltage", battery_v, _BASE)
    dtc_codes = fields.field("vehicle_health.active_dtc_codes", dtc_codes, _DTC)
    score = scored("health_score", known.score if known else None)
    parts = scored("health_parts", known.parts if known else None)
    return VehicleHealthRead(
        battery_voltage=battery_v,
        active_dtc_codes=dtc_codes,
        health_score=score,
        health_parts=None if parts is None else [_health_part(part, fields) for part in parts],
        health_rule=scored("health_rule", known.rule if known else None),
        health_is_capped=scored("health_is_capped", known.is_capped if known else None),
        health_as_of=scored("health_as_of", known.as_of if known else None),
    )


def build_live_status(
    access: VehicleAccess, state: LiveState, units: Units = Units.IMPERIAL
) -> LiveStatusRead | LiveStatusMetricRead:
    """The answer: each value as far as it is known and the scopes reach."""
    metric = units is Units.METRIC
    signals = state.signals
    driving = state.scores.driving or Driving()
    fields = Disclosure(access)
    precision = precision_allowed(access)

    seen = signals.get("seen")
    last_seen = fields.field("last_seen", rfc3339_ms(seen.observed_at) if seen else None, _BASE)
    odometer_path = "current_odometer_km" if metric else "current_odometer"
    odometer = fields.field(odometer_path, distance(_odometer_miles(state), units), _ODOMETER)
    position = fields.field("location", _position(signals.get("position")), _LOCATION)
    health = _vehicle_health(fields, state)
    speed_name = "avg_speed_7d_kph" if metric else "avg_speed_7d"
    mean_speed = fields.field(f"driving_behavior.{speed_name}", speed(driving.avg_speed_mph_7d, units), _BASE)
    hard_brakes = fields.field("driving_behavior.hard_brakes_7d", driving.hard_brakes_7d, _BASE)
    # no source before the driving model arrives
    score: int | None = fields.field("driving_behavior.score", None, _SCORE)
    as_of_date = fields.field("driving_behavior.as_of", state.scores.as_of, _BASE)

    location = None
    if position is not None and precision is not None:
        shown = shown_at(position, precision)
        location = LocationRead(lat=shown.lat_deg, lng=shown.lng_deg, accuracy_m=shown.accuracy_m)
    times = {
        "location": signals.get("position") if location else None,
        odometer_path: signals.get("odometer") if odometer is not None else None,
        "vehicle_health.battery_voltage": signals.get("battery_voltage")
        if health.battery_voltage is not None
        else None,
        "vehicle_health.active_dtc_codes": signals.get("dtc_codes")
        if health.active_dtc_codes is not None
        else None,
    }
    shared: dict[str, Any] = {
        "vin": access.vin,
        "last_seen": last_seen,
        "location": location,
        "vehicle_health": health,
        "observed_at": {path: rfc3339_ms(signal.observed_at) for path, signal in times.items() if signal},
        "location_precision": precision,
        "pending": fields.pending,
        "withheld": fields.withheld,
    }
    if metric:
        return LiveStatusMetricRead(
            **shared,
            current_odometer_km=odometer,
            driving_behavior=DrivingBehaviorMetricRead(
                avg_speed_7d_kph=mean_speed, hard_brakes_7d=hard_brakes, score=score, as_of=as_of_date
            ),
        )
    return LiveStatusRead(
        **shared,
        current_odometer=odometer,
        driving_behavior=DrivingBehaviorRead(
            avg_speed_7d=mean_speed, hard_brakes_7d=hard_brakes, score=score, as_of=as_of_date
        ),
    )


class LiveStatusService:
    """Answers live status."""

    def __init__(self, states: LiveStateReader) -> None:
        self._states = states

    async def live_status(self, access: VehicleAccess, units: Units) -> LiveStatusRead | LiveStatusMetricRead:
        """The vehicle's newest state.

        Raises:
            StoreUnavailableError: the state cannot be read.
        """
        return build_live_status(access, await self._states.read(access), units)
