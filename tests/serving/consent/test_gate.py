import pytest

from serving.consent.gate import ConsentGate, FleetAccess, VehicleAccess
from serving.problems.errors import ConsentScopeError, InsufficientScopeError, VehicleNotFoundError
from serving.scopes import Scope
from serving.stores import StoreUnavailableError
from tests.serving.world import CLIENT_ID, OTHER_VIN, VIN, World


async def test_access_reaches_as_far_as_token_and_consent_agree(world: World) -> None:
    world.grant(Scope.TELEMETRY_READ, Scope.DTC_READ)
    asking = world.scope(Scope.TELEMETRY_READ, Scope.ODOMETER_READ)
    access = await ConsentGate(world.grants, world.clock).open(asking, VIN, [Scope.TELEMETRY_READ])
    assert (access.vin, access.client_id, access.scopes) == (VIN, CLIENT_ID, {Scope.TELEMETRY_READ})


async def test_a_token_without_the_scope_is_refused_before_anything_is_looked_up(world: World) -> None:
    world.outage.is_on = True
    with pytest.raises(InsufficientScopeError):
        await ConsentGate(world.grants).open(world.scope(Scope.DTC_READ), VIN, [Scope.TELEMETRY_READ])


async def test_a_vehicle_without_consent_does_not_exist(world: World) -> None:
    with pytest.raises(VehicleNotFoundError):
        await ConsentGate(world.grants).open(world.scope(*Scope), OTHER_VIN, [Scope.TELEMETRY_READ])


async def test_consent_to_something_else_is_not_consent_to_this(world: World) -> None:
    world.grant(Scope.DTC_READ)
    with pytest.raises(ConsentScopeError, match="telemetry:read"):
        await ConsentGate(world.grants).open(world.scope(*Scope), VIN, [Scope.TELEMETRY_READ])


async def test_nobody_gets_in_while_consent_cannot_be_read(world: World) -> None:
    world.outage.is_on = True
    with pytest.raises(StoreUnavailableError):
        await ConsentGate(world.grants).open(world.scope(*Scope), VIN, [Scope.TELEMETRY_READ])


async def test_of_many_vehicles_each_is_opened_by_its_own_consent(world: World) -> None:
    unknown, narrow = "WVWZZZ1JZXW000001", "WVWZZZ1JZXW000002"
    world.grant(Scope.TELEMETRY_READ, Scope.DTC_READ)
    world.grant(vin=OTHER_VIN)
    world.grant(Scope.DTC_READ, vin=narrow)
    asking = world.scope(Scope.TELEMETRY_READ, Scope.ODOMETER_READ)
    gate = ConsentGate(world.grants, world.clock)
    access = await gate.open_many(asking, [narrow, unknown, OTHER_VIN, VIN, VIN], [Scope.TELEMETRY_READ])
    assert access.asked == tuple(sorted([narrow, unknown, OTHER_VIN, VIN]))
    assert {vin: opened.scopes for vin, opened in access.vehicles.items()} == {
        VIN: {Scope.TELEMETRY_READ},
        OTHER_VIN: {Scope.TELEMETRY_READ, Scope.ODOMETER_READ},
    }
    assert (access.not_found, access.not_covered) == ((unknown,), (narrow,))


async def test_many_vehicles_need_the_scope_in_the_token_and_consents_that_can_be_read(world: World) -> None:
    gate = ConsentGate(world.grants)
    world.outage.is_on = True
    with pytest.raises(InsufficientScopeError):
        await gate.open_many(world.scope(Scope.DTC_READ), [VIN], [Scope.TELEMETRY_READ])
    with pytest.raises(StoreUnavailableError):
        await gate.open_many(world.scope(*Scope), [VIN], [Scope.TELEMETRY_READ])


@pytest.mark.parametrize("seal", [None, object(), True])
def test_access_cannot_be_made_without_the_gate(seal: object) -> None:
    with pytest.raises(TypeError, match="gate"):
        VehicleAccess(CLIENT_ID, VIN, frozenset(Scope), seal)


async def test_what_changed_since_the_index_counts_as_far_as_the_token_reaches(world: World) -> None:
    world.grant(Scope.TELEMETRY_READ, Scope.DTC_READ)
    world.grant(Scope.TELEMETRY_READ, vin=OTHER_VIN)
    asking = world.scope(Scope.DTC_READ, Scope.ODOMETER_READ)
    fleet = await ConsentGate(world.grants, world.clock).open_fleet(asking, world.clock(), 0)
    assert fleet.changed == {VIN: {Scope.DTC_READ}, OTHER_VIN: frozenset()}
    assert (fleet.client_id, fleet.scopes) == (CLIENT_ID, asking.scopes)


async def test_a_token_that_reads_nothing_opens_no_fleet(world: World) -> None:
    with pytest.raises(InsufficientScopeError):
        await ConsentGate(world.grants).open_fleet(world.scope(Scope.TELEMETRY_WRITE), world.clock(), 0)


async def test_what_was_found_is_opened_as_far_as_each_consent_reaches(world: World) -> None:
    world.grant(Scope.ODOMETER_READ)
    found = await ConsentGate(world.grants, world.clock).open_found(world.scope(*Scope), [VIN, OTHER_VIN])
    assert {vin: access.scopes for vin, access in found.items()} == {VIN: {Scope.ODOMETER_READ}}


@pytest.mark.parametrize("seal", [None, object(), True])
def test_a_fleet_cannot_be_made_without_the_gate(seal: object) -> None:
    with pytest.raises(TypeError, match="gate"):
        FleetAccess(CLIENT_ID, frozenset(Scope), {}, seal)
