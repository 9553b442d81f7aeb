"""The gate: the only way to a vehicle's data (docs/decisions/0005-one-gate.md).

Repositories of vehicle data take a `VehicleAccess` and no VIN; the search, which is about many vehicles,
takes a `FleetAccess`. Neither can be made outside this module, and
`tests/serving/consent/test_no_way_around_the_gate.py` walks the code to hold both.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import InitVar, dataclass
from datetime import datetime
from typing import Final, Protocol, final

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


SEARCHABLE: Final = frozenset(
    {
        Scope.TELEMETRY_READ,
        Scope.ODOMETER_READ,
        Scope.LOCATION_PRECISE,
        Scope.LOCATION_COARSE,
        Scope.DTC_READ,
        Scope.MAINTENANCE_READ,
        Scope.SCORE_READ,
    }
)
"""A vehicle of which a partner may read any of these can be found by its VIN, make, model and year."""


@dataclass(frozen=True, slots=True)
class GrantedGroup:
    """Vehicles of one partner for which the same holds."""

    scopes: frozenset[Scope]
    """What token, partner and the owners' consent all cover."""
    vins: str
    """VINs with commas between them."""


@final
@dataclass(frozen=True, slots=True)
class FleetAccess:
    """Proof of which vehicles a partner may find now, and by which classes of data."""

    client_id: str
    scopes: frozenset[Scope]
    """What token and partner both hold."""
    groups: tuple[GrantedGroup, ...]
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            message = "only the consent gate gives access to vehicles"
            raise TypeError(message)

    def within(self, any_of: Collection[Scope], but_not: Collection[Scope] = ()) -> tuple[GrantedGroup, ...]:
        """The groups that hold one of the scopes, and none of the others."""
        wanted, unwanted = frozenset(any_of), frozenset(but_not)
        return tuple(group for group in self.groups if group.scopes & wanted and not group.scopes & unwanted)


class GrantReader(Protocol):
    """Finds what owners have consented to."""

    async def open_scopes(self, client_id: str, vin: str, at: datetime) -> frozenset[Scope]:
        """The scopes that owners' consent covers at a moment; empty without consent.

        Raises:
            StoreUnavailableError: the grants cannot be read.
        """

    async def open_scopes_of(
        self, client_id: str, vins: Collection[str], at: datetime
    ) -> Mapping[str, frozenset[Scope]]:
        """The same for several vehicles; those without consent are left out.

        Raises:
            StoreUnavailableError: the grants cannot be read.
        """

    async def open_fleet(self, client_id: str, at: datetime) -> Sequence[tuple[frozenset[Scope], str]]:
        """Every vehicle with consent: scopes, and the VINs that have them, with commas between.

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

    async def open_scopes_of(
        self, client_id: str, vins: Collection[str], at: datetime
    ) -> Mapping[str, frozenset[Scope]]:
        """See `GrantReader`."""
        async with answering("TimescaleDB", OperationalError), self._pool.connection() as connection:
            return await GrantRepository(connection).open_scopes_of(client_id, vins, at)

    async def open_fleet(self, client_id: str, at: datetime) -> Sequence[tuple[frozenset[Scope], str]]:
        """See `GrantReader`."""
        async with answering("TimescaleDB", OperationalError), self._pool.connection() as connection:
            return await GrantRepository(connection).open_fleet(client_id, at)


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

    async def open_fleet(self, partner: PartnerScope) -> FleetAccess:
        """What the partner may find: its vehicles with consent now, by what consent and token both cover.

        Raises:
            InsufficientScopeError: the token holds no scope that a search could be about.
            StoreUnavailableError: the grants cannot be read, so nobody finds anything.
        """
        if not partner.scopes & SEARCHABLE:
            raise InsufficientScopeError({Scope.TELEMETRY_READ})
        granted = await self._grants.open_fleet(partner.client_id, self._clock())
        groups = (GrantedGroup(scopes & partner.scopes, vins) for scopes, vins in granted)
        findable = tuple(group for group in groups if group.scopes & SEARCHABLE)
        return FleetAccess(partner.client_id, partner.scopes, findable, _SEAL)

    async def open_found(self, partner: PartnerScope, vins: Collection[str]) -> dict[str, VehicleAccess]:
        """Access to vehicles that a search found, for each that still has consent.

        Raises:
            StoreUnavailableError: the grants cannot be read.
        """
        if not vins:
            return {}
        granted = await self._grants.open_scopes_of(partner.client_id, vins, self._clock())
        return {
            vin: VehicleAccess(partner.client_id, vin, partner.scopes & scopes, _SEAL)
            for vin, scopes in granted.items()
            if partner.scopes & scopes & SEARCHABLE
        }
