"""What a registration must write, worked out from what is stored: a pure function, no SQL.

Registering the same twice changes nothing, registering a contradiction is refused whole: devices never
change family, vehicles never change origin, and a device is in one vehicle at a time. What was left open
(make, model, year) may be filled in later.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from ingest.registry.models import Family, NewDevice
from ingest.registry.ranges import check_ranges
from ingest.registry.timeline import SINCE_EVER_MS, UNTIL_FOREVER_MS
from telematics import clock
from telematics.errors import ConflictError
from telematics.names import Origin

_DETAILS: Final = ("make", "model", "model_year")


class RegistrationConflictError(ConflictError):
    """A registration contradicts what is stored; nothing was written."""


@dataclass(frozen=True, slots=True)
class StoredVehicle:
    """A row of `vehicles`."""

    vin: str
    origin: Origin
    make: str | None
    model: str | None
    model_year: int | None


@dataclass(frozen=True, slots=True)
class Interval:
    """When a device sits in which vehicle; half-open, milliseconds since the epoch."""

    vin: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database holds of the IMEIs and VINs in question."""

    families: Mapping[str, Family]
    vehicles: Mapping[str, StoredVehicle]
    installations: Mapping[str, tuple[Interval, ...]]
    retired: frozenset[str] = frozenset()
    """IMEIs that are out of service; registering one brings it back."""


@dataclass(frozen=True, slots=True)
class StoredDevice:
    """One device with its installations, as the database holds it."""

    family: Family
    status: str
    installations: tuple[Interval, ...]
    origins: Mapping[str, Origin]
    """VIN → origin, of every vehicle that it ever sat in."""

    @property
    def origin(self) -> Origin:
        """Origin of the vehicle that it sat in last; `live` if it never sat in one."""
        if not self.installations:
            return Origin.LIVE
        return self.origins[max(self.installations, key=lambda item: item.start_ms).vin]


@dataclass(slots=True)
class Plan:
    """Rows to write, in this order; `added` are the registrations that are new in any part."""

    vehicles: dict[str, StoredVehicle] = field(default_factory=dict)
    """To insert, or to update where only details were filled in."""
    families: dict[str, Family] = field(default_factory=dict)
    installations: list[tuple[str, Interval]] = field(default_factory=list)
    added: list[NewDevice] = field(default_factory=list)
    unchanged: int = 0


def plan_registration(devices: Iterable[NewDevice], stored: Stored) -> Plan:
    """The rows that make all these devices registered.

    Raises:
        ReservedRangeError: an IMEI or VIN lies in the range of another origin.
        RegistrationConflictError: a device contradicts what is stored or another device of the same call.
    """
    plan = Plan()
    vehicles = dict(stored.vehicles)
    families = dict(stored.families)
    installations = dict(stored.installations)
    for device in devices:
        check_ranges(device.imei, device.vin, device.origin)
        vehicle = _merge_vehicle(device, vehicles.get(device.vin))
        family = _check_family(device, families.get(device.imei))
        interval = _place(device, installations.get(device.imei, ()))
        changed = device.imei in stored.retired
        if vehicle != vehicles.get(device.vin):
            plan.vehicles[device.vin] = vehicles[device.vin] = vehicle
            changed = True
        if device.imei not in families:
            plan.families[device.imei] = families[device.imei] = family
            changed = True
        if interval is not None:
            plan.installations.append((device.imei, interval))
            installations[device.imei] = (*installations.get(device.imei, ()), interval)
            changed = True
        if changed:
            plan.added.append(device)
        else:
            plan.unchanged += 1
    return plan


def _merge_vehicle(device: NewDevice, stored: StoredVehicle | None) -> StoredVehicle:
    if stored is None:
        return StoredVehicle(device.vin, device.origin, device.make, device.model, device.model_year)
    if stored.origin is not device.origin:
        message = (
            f"device {_mask(device)}: its vehicle is registered with origin {stored.origin}, not "
            f"{device.origin}; a vehicle keeps its origin"
        )
        raise RegistrationConflictError(message)
    merged = stored
    for name in _DETAILS:
        given, known = getattr(device, name), getattr(stored, name)
        if given is None or given == known:
            continue
        if known is not None:
            message = (
                f"device {_mask(device)}: its vehicle is registered with {name.replace('_', ' ')} {known}, "
                f"not {given}; leave the option out to keep what is stored"
            )
            raise RegistrationConflictError(message)
        merged = replace(merged, **{name: given})
    return merged


def _check_family(device: NewDevice, stored: Family | None) -> Family:
    if stored is not None and stored is not device.family:
        message = (
            f"device {_mask(device)} is registered with family {stored}, not {device.family}; the family "
            f"says what its AVL ids mean, so it cannot change under stored rows"
        )
        raise RegistrationConflictError(message)
    return device.family


def _place(device: NewDevice, present: tuple[Interval, ...]) -> Interval | None:
    """The installation to write, or None if the very same is there."""
    if device.since is None:
        # Not said since when: a device that sits in this vehicle now is what was asked for.
        if any(item.vin == device.vin and item.end_ms == UNTIL_FOREVER_MS for item in present):
            return None
        start_ms = SINCE_EVER_MS
    else:
        start_ms = clock.epoch_ms(device.since)
    wanted = Interval(device.vin, start_ms, UNTIL_FOREVER_MS)
    if wanted in present:
        return None
    for item in present:
        if item.end_ms > wanted.start_ms:
            message = _overlap_message(device, item)
            raise RegistrationConflictError(message)
    return wanted


def _overlap_message(device: NewDevice, item: Interval) -> str:
    where = "this vehicle" if item.vin == device.vin else "another vehicle"
    start = "ever" if item.start_ms == SINCE_EVER_MS else clock.rfc3339_ms(clock.from_epoch_ms(item.start_ms))
    if item.end_ms == UNTIL_FOREVER_MS:
        return (
            f"device {_mask(device)} is installed in {where} since {start}; "
            f"`piston device move IMEI --vin VIN --at TIME` moves it, "
            f"`piston device remove IMEI --at TIME` takes it out"
        )
    end = clock.rfc3339_ms(clock.from_epoch_ms(item.end_ms))
    return (
        f"device {_mask(device)} was installed in {where} from {start} until {end}; give --since that time "
        f"or a later one"
    )


def _mask(device: NewDevice) -> str:
    """Enough of the IMEI to find it in one's own list; whole IMEIs stay out of messages and logs."""
    return f"…{device.imei[-6:]}"
