from datetime import UTC, datetime

import pytest

from ingest.registry.models import Family, NewDevice
from ingest.registry.ranges import ReservedRangeError
from ingest.registry.registration import (
    Interval,
    RegistrationConflictError,
    Stored,
    StoredVehicle,
    plan_registration,
)
from ingest.registry.timeline import SINCE_EVER_MS, UNTIL_FOREVER_MS
from telematics.clock import epoch_ms
from telematics.errors import ConfigurationError
from telematics.names import Origin

IMEI, OTHER_IMEI = "356307042441013", "356307042441021"
VIN, OTHER_VIN = "1HGCM82633A123456", "WVWZZZ1JZXW000001"
T1, T2 = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
EVER = Interval(VIN, SINCE_EVER_MS, UNTIL_FOREVER_MS)
NOTHING = Stored({}, {}, {})


def make_device(**overrides: object) -> NewDevice:
    return NewDevice(**({"imei": IMEI, "vin": VIN} | overrides))


def make_stored(*intervals: Interval, **vehicle: object) -> Stored:
    details = {"origin": Origin.LIVE, "make": None, "model": None, "model_year": None} | vehicle
    return Stored({IMEI: Family.F}, {VIN: StoredVehicle(VIN, **details)}, {IMEI: intervals or (EVER,)})


def test_a_new_device_brings_its_vehicle_and_sits_in_it_since_ever():
    plan = plan_registration([make_device(make="Honda")], NOTHING)
    assert plan.vehicles == {VIN: StoredVehicle(VIN, Origin.LIVE, "Honda", None, None)}
    assert plan.families == {IMEI: Family.F}
    assert plan.installations == [(IMEI, EVER)]


@pytest.mark.parametrize(
    ("device", "stored"),
    [
        (make_device(), make_stored()),
        (make_device(), make_stored(Interval(VIN, epoch_ms(T1), UNTIL_FOREVER_MS))),
        (make_device(since=T1), make_stored(Interval(VIN, epoch_ms(T1), UNTIL_FOREVER_MS))),
        (make_device(), make_stored(make="Honda", model_year=2003)),
        (make_device(make="Honda"), make_stored(make="Honda")),
    ],
)
def test_the_same_again_changes_nothing(device, stored):
    plan = plan_registration([device], stored)
    assert (plan.vehicles, plan.families, plan.installations) == ({}, {}, [])
    assert (plan.added, plan.unchanged) == ([], 1)


def test_the_same_device_twice_in_one_call_is_written_once():
    plan = plan_registration([make_device(), make_device()], NOTHING)
    assert len(plan.installations) == len(plan.families) == 1
    assert (len(plan.added), plan.unchanged) == (1, 1)


def test_details_left_open_may_be_filled_in():
    plan = plan_registration([make_device(model_year=2003)], make_stored(make="Honda"))
    assert plan.vehicles == {VIN: StoredVehicle(VIN, Origin.LIVE, "Honda", None, 2003)}
    assert plan.installations == []


def test_two_devices_may_sit_in_one_vehicle():
    plan = plan_registration([make_device(), make_device(imei=OTHER_IMEI)], NOTHING)
    assert len(plan.vehicles) == 1
    assert len(plan.installations) == 2


def test_after_its_installation_ended_a_device_may_go_to_another_vehicle():
    stored = make_stored(Interval(VIN, SINCE_EVER_MS, epoch_ms(T1)))
    plan = plan_registration([make_device(vin=OTHER_VIN, since=T1)], stored)
    assert plan.installations == [(IMEI, Interval(OTHER_VIN, epoch_ms(T1), UNTIL_FOREVER_MS))]


@pytest.mark.parametrize(
    ("device", "stored", "says"),
    [
        (make_device(vin=OTHER_VIN), make_stored(), "another vehicle since ever"),
        (make_device(vin=OTHER_VIN, since=T2), make_stored(), "piston device remove"),
        (
            make_device(vin=OTHER_VIN, since=T1),
            make_stored(Interval(VIN, SINCE_EVER_MS, epoch_ms(T2))),
            "until 2026-02-01",
        ),
        (make_device(since=T1), make_stored(), "this vehicle since ever"),
        (make_device(family=Family.OBD), make_stored(), "family"),
        (make_device(make="Ford"), make_stored(make="Honda"), "make Honda"),
        (make_device(model_year=2004), make_stored(model_year=2003), "model year 2003"),
    ],
)
def test_a_contradiction_is_refused_with_what_is_stored(device, stored, says):
    with pytest.raises(RegistrationConflictError, match=says) as caught:
        plan_registration([device], stored)
    assert IMEI not in str(caught.value)
    assert VIN not in str(caught.value)


def test_one_device_in_two_vehicles_at_once_is_refused_within_one_call():
    with pytest.raises(RegistrationConflictError, match="another vehicle"):
        plan_registration([make_device(), make_device(vin=OTHER_VIN)], NOTHING)


def test_a_vehicle_keeps_its_origin():
    recorded = make_device(imei="001000000000016", vin="0VE00000000000001", origin=Origin.RECORDED)
    stored = Stored({}, {recorded.vin: StoredVehicle(recorded.vin, Origin.SIMULATED, None, None, None)}, {})
    with pytest.raises(RegistrationConflictError, match="origin simulated"):
        plan_registration([recorded], stored)


@pytest.mark.parametrize(
    ("imei", "vin", "origin"),
    [
        ("001000000000016", VIN, Origin.LIVE),
        (IMEI, "0VE00000000000001", Origin.LIVE),
        (IMEI, "0SM00000000000001", Origin.LIVE),
        (IMEI, "0VE00000000000001", Origin.RECORDED),
        ("001000000000016", VIN, Origin.RECORDED),
        ("001000000000016", "0SM00000000000001", Origin.RECORDED),
        ("001000000000016", "0VE00000000000001", Origin.SIMULATED),
    ],
)
def test_origins_keep_to_their_ranges(imei, vin, origin):
    with pytest.raises(ReservedRangeError):
        plan_registration([make_device(imei=imei, vin=vin, origin=origin)], NOTHING)


@pytest.mark.parametrize(
    "wrong",
    [
        {"imei": "35630704244101"},
        {"imei": IMEI + " "},
        {"vin": VIN.lower()},
        {"vin": "1HGCM82633A12345O"},
        {"since": datetime(2026, 1, 1)},  # noqa: DTZ001 - without a zone on purpose
        {"model_year": 1949},
    ],
)
def test_what_has_not_the_form_is_no_device(wrong):
    with pytest.raises(ConfigurationError):
        make_device(**wrong)
