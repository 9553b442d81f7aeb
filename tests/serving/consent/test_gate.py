import pytest

from serving.consent.gate import ConsentGate, VehicleAccess
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


@pytest.mark.parametrize("seal", [None, object(), True])
def test_access_cannot_be_made_without_the_gate(seal: object) -> None:
    with pytest.raises(TypeError, match="gate"):
        VehicleAccess(CLIENT_ID, VIN, frozenset(Scope), seal)
