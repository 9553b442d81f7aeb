"""The registry's SQL on the real database."""

import itertools
import random
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from ingest.registry.directory import RegistryImeis
from ingest.registry.models import Family, NewDevice, Registration
from ingest.registry.registration import RegistrationConflictError
from ingest.registry.repository import (
    Connection,
    active_imeis,
    add_device,
    connect,
    end_installation,
    list_devices,
    load_timeline,
    register_fleet,
)
from ingest.registry.timeline import SINCE_EVER_MS, UNTIL_FOREVER_MS
from telematics.clock import epoch_ms
from telematics.errors import NotFoundError, UnavailableError
from telematics.names import Origin
from telematics.settings import Settings
from telematics.vin import with_check_digit

pytestmark = pytest.mark.integration

T1 = datetime(2026, 1, 1, 12, 30, 0, 250_000, tzinfo=UTC)
_numbers = itertools.count(random.randrange(10**9, 9 * 10**9))


def make_device(**overrides: object) -> NewDevice:
    """A device and a vehicle that no other test has."""
    number = next(_numbers)
    fresh = {"imei": f"35{number:013d}", "vin": with_check_digit(f"1HG{number:014d}")}
    return NewDevice(**(fresh | overrides))


@pytest.fixture
def connection(stack: Settings) -> Iterator[Connection]:
    with connect(stack, "test") as connection:
        yield connection


def test_a_device_is_listed_with_its_vehicle_and_may_log_in(connection):
    device = make_device(family=Family.OBD, make="Honda", model="Accord", model_year=2003)
    assert add_device(connection, device, "test")
    (listed,) = [item for item in list_devices(connection) if item.imei == device.imei]
    assert (listed.vin, listed.family, listed.origin, listed.status, listed.since) == (
        device.vin,
        Family.OBD,
        Origin.LIVE,
        "active",
        None,
    )
    assert active_imeis(connection, [device.imei, "0" * 15]) == {device.imei}
    assert device.imei in active_imeis(connection)


def test_the_first_installation_holds_since_ever(connection):
    device = make_device()
    add_device(connection, device, "test")
    timeline = load_timeline(connection, [device.imei])
    (installation,) = timeline.installations(device.imei)
    assert (installation.start_ms, installation.end_ms) == (SINCE_EVER_MS, UNTIL_FOREVER_MS)
    assert installation.vin == device.vin
    assert installation.odometer_source is None
    assert timeline.family(device.imei) == "F"


def test_registering_again_changes_nothing_and_leaves_no_second_audit_event(connection):
    device = make_device(since=T1)
    assert add_device(connection, device, "test")
    assert not add_device(connection, device, "test")
    events = connection.execute(
        "select actor, action, detail ->> 'vin' from audit_events where subject = %s", (device.imei,)
    ).fetchall()
    assert events == [("test", "device.add", device.vin)]


def test_a_move_to_another_vehicle_shows_in_the_timeline_to_the_millisecond(connection):
    device = make_device()
    add_device(connection, device, "test")
    end_installation(connection, device.imei, T1, "test")
    moved = make_device(imei=device.imei, since=T1)
    add_device(connection, moved, "test")
    timeline = load_timeline(connection, [device.imei])
    before, after = timeline.at(device.imei, epoch_ms(T1) - 1), timeline.at(device.imei, epoch_ms(T1))
    assert before is not None
    assert after is not None
    assert (before.vin, after.vin) == (device.vin, moved.vin)


def test_a_contradiction_writes_nothing(connection):
    device, bystander = make_device(), make_device()
    add_device(connection, device, "test")
    with pytest.raises(RegistrationConflictError):
        register_fleet(connection, [bystander, make_device(imei=device.imei)], "test")
    assert active_imeis(connection, [bystander.imei]) == frozenset()


def test_the_database_itself_refuses_two_vehicles_at_once(connection):
    device, other = make_device(), make_device()
    register_fleet(connection, [device, other], "test")
    with pytest.raises(psycopg.errors.ExclusionViolation):
        connection.execute(
            "insert into device_installations (imei, vin) values (%s, %s)", (device.imei, other.vin)
        )


def test_a_fleet_is_registered_at_once_and_again_without_effect(connection):
    fleet = [
        make_device(imei=f"001{next(_numbers):012d}", vin=f"0VE{next(_numbers):014d}", origin=Origin.RECORDED)
        for _ in range(500)
    ]
    assert register_fleet(connection, fleet, "test") == Registration(added=500, unchanged=0)
    assert register_fleet(connection, fleet, "test") == Registration(added=0, unchanged=500)
    assert len(load_timeline(connection, [device.imei for device in fleet])) == 500


def test_details_that_were_left_open_are_filled_in(connection):
    device = make_device(make="Honda")
    add_device(connection, device, "test")
    assert add_device(connection, make_device(imei=device.imei, vin=device.vin, model_year=2003), "test")
    row = connection.execute("select make, model_year from vehicles where vin = %s", (device.vin,)).fetchone()
    assert row == ("Honda", 2003)


def test_a_device_in_no_vehicle_cannot_leave_one(connection):
    device = make_device()
    add_device(connection, device, "test")
    end_installation(connection, device.imei, T1, "test")
    with pytest.raises(NotFoundError, match="piston device list"):
        end_installation(connection, device.imei, T1, "test")


def test_nothing_is_kept_unless_the_caller_commits(stack):
    device = make_device()
    with connect(stack, "test") as connection:
        add_device(connection, device, "test")
        connection.rollback()
    with connect(stack, "test") as connection:
        assert active_imeis(connection, [device.imei]) == frozenset()


def test_the_gateways_source_survives_a_broken_connection(stack):
    device = make_device()
    with connect(stack, "test") as connection:
        add_device(connection, device, "test")
    source = RegistryImeis(stack)
    try:
        assert source([device.imei]) == {device.imei}
        with connect(stack, "test") as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where application_name = 'piston-gateway' and datname = current_database()"
            )
        assert source([device.imei]) == {device.imei}
    finally:
        source.close()


def test_a_database_that_is_not_there_is_unavailable(stack):
    nowhere = stack.model_copy(update={"timescale_port": 1})
    with pytest.raises(UnavailableError, match="PISTON_TIMESCALE_PORT"):
        RegistryImeis(nowhere)(None)
