"""The gate: the only way to a vehicle's data (docs/decisions/0005-one-gate.md).

Repositories of vehicle data take a `VehicleAccess` and no VIN. A `VehicleAccess` cannot be made outside this
module, and `tests/serving/consent/test_no_way_around_the_gate.py` walks the code to hold both.
"""

from collections.abc import Collection
from dataclasses import InitVar, dataclass
from datetime import datetime
from typing import Protocol, final

from psycopg import OperationalError

from serving.consent.repository import GrantRepository
from serving.partners.directory import Pool
from serving.partners.models import PartnerScope
from serving.problems.errors import ConsentScopeError, InsufficientScopeError, VehicleNotFoundError
from serving.scopes import Scope
from serving.stores import answering
from telematics.clock import Clock, utc_now

_SEAL = object()


@final
@dataclass(frozen=True, slots=True)
class VehicleAccess:
    """Proof that a partner may read a vehicle now, and which classes of data."""

    client_id: str
    vin: str
    scopes: frozenset[Scope]
    """What token, partner and the owner's consent all cover."""
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            message = "only the consent gate gives access to a vehicle"
            raise TypeError(message)

    def allows(self, scope: Scope) -> bool:
        """Whether a class of data may be read."""
        return scope in self.scopes


class GrantReader(Protocol):
    """Finds what owners have consented to."""

    async def open_scopes(self, client_id: str, vin: str, at: datetime) -> frozenset[Scope]:
        """The scopes that owners' consent covers at a moment; empty without consent.

        Raises:
            StoreUnavailableError: the grants cannot be read.
        """


class StoredGrants:
    """Grants in TimescaleDB, read anew each time: a withdrawn consent ends with the next request."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def open_scopes(self, client_id: str, vin: str, at: datetime) -> frozenset[Scope]:
        """See `GrantReader`."""
        async with answering("TimescaleDB", OperationalError), self._pool.connection() as connection:
            return await GrantRepository(connection).open_scopes(client_id, vin, at)


class ConsentGate:
    """Opens vehicles to partners."""

    def __init__(self, grants: GrantReader, clock: Clock = utc_now) -> None:
        self._grants = grants
        self._clock = clock

    async def open(self, partner: PartnerScope, vin: str, required: Collection[Scope]) -> VehicleAccess:
        """Access to a vehicle, if there is consent for every scope that the resource needs.

        Steps: the token's scopes, then an open grant for the VIN, then the grant's scopes.

        Raises:
            InsufficientScopeError: the token does not hold a required scope.
            VehicleNotFoundError: no open grant; an unknown VIN cannot be told from one not granted.
            ConsentScopeError: the grant does not cover a required scope.
            StoreUnavailableError: the grants cannot be read, so nobody gets in.
        """
        needed = frozenset(required)
        if not needed <= partner.scopes:
            raise InsufficientScopeError(needed)
        granted = await self._grants.open_scopes(partner.client_id, vin, self._clock())
        if not granted:
            raise VehicleNotFoundError
        if not needed <= granted:
            raise ConsentScopeError(needed)
        return VehicleAccess(partner.client_id, vin, partner.scopes & granted, _SEAL)
