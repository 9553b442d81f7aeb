"""SQL of devices, vehicles and installations; every statement of the registry stands here.

Functions take an open psycopg connection and never commit: whoever opened the transaction ends it.
PostgreSQL's infinities never reach Python, where no datetime holds them: they travel as NULL or as the
constants of `timeline`.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final

import psycopg
from psycopg.rows import TupleRow
from psycopg.types.json import Jsonb

from ingest.registry.models import Family, NewDevice, RegisteredDevice, Registration
from ingest.registry.registration import (
    Interval,
    Plan,
    Stored,
    StoredDevice,
    StoredVehicle,
    plan_registration,
)
from ingest.registry.timeline import (
    SINCE_EVER_MS,
    UNTIL_FOREVER_MS,
    Installation,
    InstallationTimeline,
)
from telematics import clock
from telematics.errors import NotFoundError, UnavailableError
from telematics.names import OdometerSource, Origin
from telematics.settings import Settings

Connection = psycopg.Connection[TupleRow]

_CONNECT_S: Final = 5

# Milliseconds are exact here: extract() yields numeric, and installations are stored to the millisecond.
_MS_OF: Final = """
    case when {0} = '-infinity' then {1}
         when {0} = 'infinity' then {2}
         else floor(extract(epoch from {0}) * 1000)::bigint end
"""
_START_MS: Final = _MS_OF.format("installed_at", f"({SINCE_EVER_MS + 1}::bigint - 1)", UNTIL_FOREVER_MS)
_END_MS: Final = _MS_OF.format("removed_at", f"({SINCE_EVER_MS + 1}::bigint - 1)", UNTIL_FOREVER_MS)


def connect(settings: Settings, application: str) -> Connection:
    """A connection to the telemetry database; `application` names it in pg_stat_activity.

    Raises:
        UnavailableError: the database does not answer or refuses the user.
    """
    try:
        return psycopg.connect(
            settings.timescale_dsn(), connect_timeout=_CONNECT_S, application_name=f"piston-{application}"
        )
    except psycopg.OperationalError as error:
        message = (
            f"TimescaleDB at {settings.host}:{settings.timescale_port} does not answer; is the stack up "
            f"(`piston status`, PISTON_TIMESCALE_PORT)?"
        )
        raise UnavailableError(message) from error


def register_fleet(
    connection: Connection, devices: Iterable[NewDevice], actor: str, *, is_audited: bool = True
) -> Registration:
    """Register devices with their vehicles and installations, all or none; what is there stays as it is.

    Three reads and at most five writes, whatever the number of devices. A retired device that is registered
    again is back in service. `is_audited` is False where the caller writes an audit event of its own.

    Raises:
        ReservedRangeError: an IMEI or VIN lies in the range of another origin.
        RegistrationConflictError: a device contradicts what is stored.
    """
    wanted = list(devices)
    # Writers of the registry take turns, so that what was read is still true when it is written. Readers
    # (logins, the sink) are not held up.
    connection.execute("lock table devices, vehicles, device_installations in share row exclusive mode")
    plan = plan_registration(wanted, _read_stored(connection, wanted))
    _write(connection, plan)
    if is_audited:
        entries = [(device.imei, _audit_detail(device)) for device in plan.added]
        write_audit(connection, actor, "device.add", entries)
    return Registration(added=len(plan.added), unchanged=plan.unchanged)


def add_device(connection: Connection, device: NewDevice, actor: str) -> bool:
    """Register one device; False if it was registered the very same way before.

    Raises:
        ReservedRangeError: IMEI or VIN lie in the range of another origin.
        RegistrationConflictError: the device contradicts what is stored.
    """
    return register_fleet(connection, [device], actor).added == 1


def end_installation(
    connection: Connection, imei: str, at: datetime, actor: str, *, is_audited: bool = True
) -> None:
    """End the device's present installation at a moment; records from then on carry no VIN.

    `is_audited` is False where the caller writes an audit event of its own.

    Raises:
        NotFoundError: the device is in no vehicle, or got there only after `at`.
    """
    ended = connection.execute(
        """
        update device_installations set removed_at = %s
        where imei = %s and removed_at = 'infinity' and installed_at < %s
        returning vin
        """,
        (at, imei, at),
    ).fetchone()
    if ended is None:
        message = "the device is in no vehicle that it could leave at that time; see `piston device list`"
        raise NotFoundError(message)
    if is_audited:
        detail = {"vin": ended[0], "at": clock.rfc3339_ms(at)}
        write_audit(connection, actor, "device.remove", [(imei, detail)])


def read_device(connection: Connection, imei: str) -> StoredDevice | None:
    """One device with all its installations; None if it is not registered."""
    device = connection.execute("select family, status from devices where imei = %s", (imei,)).fetchone()
    if device is None:
        return None
    rows = connection.execute(
        f"""
        select i.vin, {_START_MS}, {_END_MS}, v.origin
        from device_installations as i join vehicles as v on v.vin = i.vin
        where i.imei = %s order by i.installed_at
        """,
        (imei,),
    ).fetchall()
    return StoredDevice(
        family=Family(device[0]),
        status=device[1],
        installations=tuple(Interval(vin, start, end) for vin, start, end, _ in rows),
        origins={vin: Origin(origin) for vin, _, _, origin in rows},
    )


def list_devices(connection: Connection) -> list[RegisteredDevice]:
    """Every device by IMEI, with the vehicle that it is in now."""
    rows = connection.execute(
        """
        select d.imei, d.family, d.status, i.vin, v.origin, nullif(i.installed_at, '-infinity'), d.model,
            d.firmware
        from devices as d
        left join device_installations as i
            on i.imei = d.imei and i.installed_at <= now() and i.removed_at > now()
        left join vehicles as v on v.vin = i.vin
        order by d.imei
        """
    ).fetchall()
    return [
        RegisteredDevice(
            imei, Family(family), status, vin, Origin(origin) if origin else None, since, model, firmware
        )
        for imei, family, status, vin, origin, since, model, firmware in rows
    ]


def active_imeis(connection: Connection, among: Collection[str] | None = None) -> frozenset[str]:
    """IMEIs that may log in: all of them, or those of `among`."""
    if among is None:
        rows = connection.execute("select imei from devices where status = 'active'").fetchall()
    else:
        rows = connection.execute(
            "select imei from devices where status = 'active' and imei = any(%s)", (list(among),)
        ).fetchall()
    return frozenset(str(imei) for (imei,) in rows)


def load_timeline(connection: Connection, imeis: Collection[str] | None = None) -> InstallationTimeline:
    """The installations of these devices, or of all. One device costs two index look-ups."""
    only, parameters = ("", None) if imeis is None else ("where d.imei = any(%s)", (list(imeis),))
    rows = connection.execute(
        f"""
        select d.imei, d.family, i.installation_id, i.vin, v.origin, {_START_MS}, {_END_MS}, i.odometer_source
        from devices as d
        left join device_installations as i on i.imei = d.imei
        left join vehicles as v on v.vin = i.vin
        {only}
        """,
        parameters,
    ).fetchall()
    return InstallationTimeline(
        {imei: family for imei, family, *_ in rows},
        [
            Installation(
                number, imei, vin, Origin(origin), start, end, OdometerSource(source) if source else None
            )
            for imei, _family, number, vin, origin, start, end, source in rows
            if number is not None
        ],
    )


def _read_stored(connection: Connection, wanted: Sequence[NewDevice]) -> Stored:
    imeis = [device.imei for device in wanted]
    vins = [device.vin for device in wanted]
    devices = connection.execute(
        "select imei, family, status from devices where imei = any(%s)", (imeis,)
    ).fetchall()
    vehicles = connection.execute(
        "select vin, origin, make, model, model_year from vehicles where vin = any(%s)", (vins,)
    )
    installations: dict[str, tuple[Interval, ...]] = {}
    for imei, vin, start, end in connection.execute(
        f"select imei, vin, {_START_MS}, {_END_MS} from device_installations where imei = any(%s)", (imeis,)
    ):
        installations[imei] = (*installations.get(imei, ()), Interval(vin, start, end))
    return Stored(
        families={imei: Family(family) for imei, family, _ in devices},
        retired=frozenset(imei for imei, _, status in devices if status == "retired"),
        vehicles={
            vin: StoredVehicle(vin, Origin(origin), make, model, year)
            for vin, origin, make, model, year in vehicles
        },
        installations=installations,
    )


def _write(connection: Connection, plan: Plan) -> None:
    vehicles = list(plan.vehicles.values())
    connection.execute(
        """
        insert into vehicles (vin, origin, make, model, model_year)
        select * from unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::smallint[])
        on conflict (vin) do update
            set make = excluded.make, model = excluded.model, model_year = excluded.model_year
        """,
        (
            [vehicle.vin for vehicle in vehicles],
            [vehicle.origin.value for vehicle in vehicles],
            [vehicle.make for vehicle in vehicles],
            [vehicle.model for vehicle in vehicles],
            [vehicle.model_year for vehicle in vehicles],
        ),
    )
    connection.execute(
        "insert into devices (imei, family) select * from unnest(%s::text[], %s::text[])",
        (list(plan.families), [family.value for family in plan.families.values()]),
    )
    connection.execute(
        """
        insert into device_installations (imei, vin, installed_at)
        select imei, vin, coalesce(since, '-infinity')
        from unnest(%s::text[], %s::text[], %s::timestamptz[]) as incoming (imei, vin, since)
        """,
        (
            [imei for imei, _ in plan.installations],
            [interval.vin for _, interval in plan.installations],
            [
                None if interval.start_ms == SINCE_EVER_MS else clock.from_epoch_ms(interval.start_ms)
                for _, interval in plan.installations
            ],
        ),
    )
    connection.execute(
        "update devices set status = 'active' where status = 'retired' and imei = any(%s)",
        ([device.imei for device in plan.added],),
    )


def _audit_detail(device: NewDevice) -> dict[str, object]:
    since = None if device.since is None else clock.rfc3339_ms(device.since)
    return {
        "vin": device.vin,
        "family": device.family.value,
        "origin": device.origin.value,
        "since": since,
        "make": device.make,
        "model": device.model,
        "model_year": device.model_year,
    }


def write_audit(
    connection: Connection, actor: str, action: str, entries: Sequence[tuple[str, dict[str, object]]]
) -> None:
    """Write down who did what: one audit event per (subject, detail)."""
    connection.execute(
        """
        insert into audit_events (actor, action, subject, detail)
        select %s, %s, subject, detail from unnest(%s::text[], %s::jsonb[]) as entry (subject, detail)
        """,
        (actor, action, [subject for subject, _ in entries], [Jsonb(detail) for _, detail in entries]),
    )
