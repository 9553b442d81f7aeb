"""A device that comes to a car, moves or leaves, with all that was stored about it set right.

`plan_move` is pure and decides; the functions below it write. A change says which vehicle the records of a
time belong to, so it does three things in one transaction:

1. the present installation ends at the change; at a move the next one begins there (half-open: never both);
2. hot rows from then on get the vehicle that holds at their time now, or none, with its odometer;
3. days with such rows become dirty, so that the warehouse, which finds a row's vehicle anew whenever it loads
   a day, loads them again. Days whose rows are no longer hot become dirty from then on: nobody can see here
   whether the device drove on them.

The sink remembers installations for a few seconds, so rows that it stores just after may still name the old
car. `ingest.registry.second_look` finds them.

Limit: the old car's live state keeps what the device said after a change that lies in the past, until that
car has a device again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from ingest.registry.models import NewDevice
from ingest.registry.registration import Interval, RegistrationConflictError, StoredDevice
from ingest.registry.repository import (
    Connection,
    add_device,
    end_installation,
    read_device,
    register_fleet,
    write_audit,
)
from ingest.registry.timeline import SINCE_EVER_MS, UNTIL_FOREVER_MS
from telematics import clock
from telematics.errors import NotFoundError
from telematics.names import Origin
from telematics.units import METRES_PER_MILE

_LOCK: Final = "lock table devices, vehicles, device_installations in share row exclusive mode"

_CHOOSE_SOURCE: Final = """
    update device_installations as i
    set odometer_source = case when seen.can then 'can' when seen.obd then 'obd' else 'gnss' end
    from (
        select bool_or(odometer_can_m is not null) as can, bool_or(odometer_obd_m is not null) as obd,
            bool_or(odometer_gnss_m is not null) as gnss
        from telemetry where device_id = %(imei)s and time >= %(since)s::timestamptz
    ) as seen
    where i.imei = %(imei)s and i.installed_at = %(since)s::timestamptz and i.odometer_source is null
        and (seen.can or seen.obd or seen.gnss)
"""
_RESTAMP: Final = f"""
    with placed as (
        select r.time, r.event_id, r.content_hash, i.vin, i.odometer_source,
            case i.odometer_source when 'can' then r.odometer_can_m when 'obd' then r.odometer_obd_m
                when 'gnss' then r.odometer_gnss_m end as metres
        from telemetry as r
        left join device_installations as i
            on i.imei = r.device_id and i.installed_at <= r.time and r.time < i.removed_at
        where r.device_id = %(imei)s and r.time >= %(since)s::timestamptz and r.vin is distinct from i.vin
    ),
    moved as (
        update telemetry as t
        set vin = placed.vin,
            odometer = placed.metres::double precision / {METRES_PER_MILE}::double precision,
            odometer_source = case when placed.metres is not null then placed.odometer_source end
        from placed
        where t.device_id = %(imei)s and t.time >= %(since)s::timestamptz and t.time = placed.time
            and t.event_id = placed.event_id
            and t.content_hash = placed.content_hash
        returning (t.time at time zone 'UTC')::date as day
    )
    select day, count(*) from moved group by day
"""
_COLD_DAYS: Final = """
    select day from day_loads
    where hot_dropped_at is not null and day >= (%s::timestamptz at time zone 'UTC')::date
"""
# In the order in which sinks take these rows, so that nobody waits for each other in a circle.
_LOCK_DAYS: Final = "select day from hot_days where day = any(%s) order by day for update"
# A day that was loaded from files, past the sink, gets its first version here.
_TOUCH_DAYS: Final = """
    insert into hot_days (day, version, row_count, last_written_at)
    select day, 1, 0, now() from unnest(%s::date[]) as day order by day
    on conflict (day) do update set version = hot_days.version + 1, last_written_at = now()
"""


@dataclass(frozen=True, slots=True)
class Move:
    """A device goes to another vehicle at a moment."""

    imei: str
    vin: str
    at: datetime
    """Aware, in whole milliseconds."""
    origin: Origin | None = None
    """Of the vehicle, if it is new here; None: that of the vehicle that the device leaves."""
    make: str | None = None
    model: str | None = None
    model_year: int | None = None


@dataclass(frozen=True, slots=True)
class Departure:
    """What a move, a removal or a retirement changed."""

    left_vin: str | None
    """None: the device was in no vehicle."""
    row_count: int
    """Hot rows that have another vehicle now."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a registration changed."""

    is_new: bool
    """False: it was registered the very same way before."""
    was_known: bool
    """Sinks may remember for a few seconds that the device is in no vehicle."""
    row_count: int
    """Hot rows that have a vehicle now."""


def plan_move(move: Move, present: Sequence[Interval], now: datetime) -> Interval | None:
    """The installation that the move ends, or None if the device is in no vehicle.

    Args:
        move: what is asked for.
        present: the device's installations, in any order.
        now: our clock.

    Raises:
        RegistrationConflictError: the times overlap or run backwards, or the device is there already.
    """
    at_ms = clock.epoch_ms(move.at)
    name = f"device …{move.imei[-6:]}"
    if move.at > now:
        message = f"{name} cannot move in the future; give --at a time that has passed"
        raise RegistrationConflictError(message)
    current = _present(present)
    if current is not None and current.vin == move.vin:
        message = f"{name} is in this vehicle already, since {_text(current.start_ms)}"
        raise RegistrationConflictError(message)
    if current is not None and at_ms <= current.start_ms:
        message = (
            f"{name} is in its present vehicle since {_text(current.start_ms)}, so it cannot have left it "
            f"before; give --at a later time"
        )
        raise RegistrationConflictError(message)
    for item in present:
        if item is not current and item.end_ms > at_ms:
            message = (
                f"{name} was in another vehicle from {_text(item.start_ms)} until {_text(item.end_ms)}; give "
                f"--at that end or a later time"
            )
            raise RegistrationConflictError(message)
    return current


def move_device(connection: Connection, move: Move, actor: str, now: datetime) -> Departure:
    """Move a device, set right what is stored, and write it down; the caller commits.

    Raises:
        NotFoundError: the device is not registered.
        RegistrationConflictError: times overlap or run backwards, or the device is retired.
        ReservedRangeError: IMEI or VIN lie in the range of another origin.
    """
    connection.execute(_LOCK)
    stored = read_device(connection, move.imei)
    if stored is None:
        message = "no such device; register it with `piston device add IMEI --vin VIN`"
        raise NotFoundError(message)
    if stored.status == "retired":
        message = f"device …{move.imei[-6:]} is retired; `piston device add` brings it back"
        raise RegistrationConflictError(message)
    left = plan_move(move, stored.installations, now)
    if left is not None:
        end_installation(connection, move.imei, move.at, actor, is_audited=False)
    device = NewDevice(
        imei=move.imei,
        vin=move.vin,
        family=stored.family,
        origin=move.origin or stored.origin,
        since=move.at,
        make=move.make,
        model=move.model,
        model_year=move.model_year,
    )
    register_fleet(connection, [device], actor, is_audited=False)
    row_count = restamp(connection, move.imei, move.at, with_cold_days=True)
    left_vin = None if left is None else left.vin
    detail: dict[str, object] = {
        "from": left_vin,
        "to": move.vin,
        "at": clock.rfc3339_ms(move.at),
        "rows": row_count,
    }
    write_audit(connection, actor, "device.move", [(move.imei, detail)])
    return Departure(left_vin, row_count)


def register_device(connection: Connection, device: NewDevice, actor: str) -> Arrival:
    """Register a device in its vehicle, and give rows that it has the vehicle, too; the caller commits.

    A device that nobody knew has no rows in the warehouse that would name it; one that comes back may.

    Raises:
        ReservedRangeError: IMEI or VIN lie in the range of another origin.
        RegistrationConflictError: the device contradicts what is stored.
    """
    connection.execute(_LOCK)
    was_known = read_device(connection, device.imei) is not None
    if not add_device(connection, device, actor):
        return Arrival(False, was_known, 0)
    row_count = restamp(connection, device.imei, device.since, with_cold_days=was_known)
    return Arrival(True, was_known, row_count)


def restamp(
    connection: Connection, imei: str, since: datetime | None, *, with_cold_days: bool = False
) -> int:
    """Give hot rows from a moment on the vehicle that holds at their time; returns how many had another.

    Args:
        connection: with a transaction that the caller commits.
        imei: the device.
        since: start of its present installation, or the end of its last one; None: since ever.
        with_cold_days: make days dirty, too, whose rows are no longer hot.
    """
    parameters = {"imei": imei, "since": since or "-infinity"}
    connection.execute(_CHOOSE_SOURCE, parameters)
    rows_by_day: dict[date, int] = dict(connection.execute(_RESTAMP, parameters).fetchall())
    days = set(rows_by_day)
    if with_cold_days:
        days.update(day for (day,) in connection.execute(_COLD_DAYS, (parameters["since"],)))
    if days:
        connection.execute(_LOCK_DAYS, (sorted(days),))
        connection.execute(_TOUCH_DAYS, (sorted(days),))
    return sum(rows_by_day.values())


def remove_device(connection: Connection, imei: str, at: datetime, actor: str) -> Departure:
    """Take a device out of its vehicle; it may still log in. The caller commits.

    Raises:
        NotFoundError: the device is not registered, or in no vehicle.
        RegistrationConflictError: it came to its vehicle only after `at`, or `at` has not come yet.
    """
    stored = _read_for_departure(connection, imei, at)
    current = _present(stored.installations)
    if current is None:
        message = "the device is in no vehicle that it could leave; see `piston device list`"
        raise NotFoundError(message)
    left = _depart(connection, imei, current, at, actor)
    write_audit(connection, actor, "device.remove", [(imei, _departed(left, at))])
    return left


def retire_device(connection: Connection, imei: str, at: datetime, actor: str) -> Departure:
    """Take a device out of service: it leaves its vehicle and may not log in again; the caller commits.

    Raises:
        NotFoundError: the device is not registered.
        RegistrationConflictError: it is retired already, came to its vehicle only after `at`, or `at` has not
            come yet.
    """
    stored = _read_for_departure(connection, imei, at)
    if stored.status == "retired":
        message = f"device …{imei[-6:]} is retired already"
        raise RegistrationConflictError(message)
    current = _present(stored.installations)
    left = Departure(None, 0) if current is None else _depart(connection, imei, current, at, actor)
    connection.execute("update devices set status = 'retired' where imei = %s", (imei,))
    write_audit(connection, actor, "device.retire", [(imei, _departed(left, at))])
    return left


def _read_for_departure(connection: Connection, imei: str, at: datetime) -> StoredDevice:
    if at > clock.utc_now():
        # The registry says what was and is: what may still be revoked is not known before it happens.
        message = f"device …{imei[-6:]} cannot leave in the future; give --at a time that has passed"
        raise RegistrationConflictError(message)
    connection.execute(_LOCK)
    stored = read_device(connection, imei)
    if stored is None:
        message = "no such device; see `piston device list`"
        raise NotFoundError(message)
    return stored


def _depart(connection: Connection, imei: str, current: Interval, at: datetime, actor: str) -> Departure:
    if clock.epoch_ms(at) <= current.start_ms:
        message = (
            f"device …{imei[-6:]} is in its present vehicle since {_text(current.start_ms)}; give --at a "
            f"later time"
        )
        raise RegistrationConflictError(message)
    end_installation(connection, imei, at, actor, is_audited=False)
    return Departure(current.vin, restamp(connection, imei, at, with_cold_days=True))


def _departed(left: Departure, at: datetime) -> dict[str, object]:
    return {"vin": left.left_vin, "at": clock.rfc3339_ms(at), "rows": left.row_count}


def _present(installations: Sequence[Interval]) -> Interval | None:
    return next((item for item in installations if item.end_ms == UNTIL_FOREVER_MS), None)


def _text(epoch_ms: int) -> str:
    return "ever" if epoch_ms == SINCE_EVER_MS else clock.rfc3339_ms(clock.from_epoch_ms(epoch_ms))
