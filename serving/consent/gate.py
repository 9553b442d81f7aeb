"""The gate: the only way to a vehicle's data (docs/decisions/0005-one-gate.md).

Repositories of vehicle data take a `VehicleAccess` and no VIN, or a `VehiclesAccess` and no VINs; the search,
which is about all that a partner may find, takes a `FleetAccess`. None can be made outside this module, and
`tests/serving/consent/test_no_way_around_the_gate.py` walks the code to hold all of that.
"""

from collections.abc import Collection, Mapping
from dataclasses import InitVar, dataclass
from datetime import datetime, timedelta
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


@final
@dataclass(frozen=True, slots=True)
class VehiclesAccess:
    """Proof of which vehicles, of those asked for, a partner may read now, each as far as consent goes."""

    client_id: str
    asked: tuple[str, ...]
    """All VINs asked for, each once, in order."""
    vehicles: Mapping[str, VehicleAccess]
    """Those that may be read."""
    not_found: tuple[str, ...]
    """Unknown, or without consent: nobody is told which."""
    not_covered: tuple[str, ...]
    """With consent that does not cover what the resource needs."""
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            message = "only the consent gate gives access to vehicles"
            raise TypeError(message)


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


CLOCKS_APART: Final = timedelta(minutes=15)
"""How far the clocks of those who record consent may be apart from the database's."""


@final
@dataclass(frozen=True, slots=True)
class FleetAccess:
    """Proof of which vehicles a partner may find now, and by which classes of data.

    The search index holds every vehicle's consents as they were when it was built. A partner's own changes
    since then stand here, and outrank it.
    """

    client_id: str
    scopes: frozenset[Scope]
    """What token and partner both hold."""
    changed: Mapping[str, frozenset[Scope]]
    """VIN → what token, partner and consent all cover now; empty where consent has ended."""
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            message = "only the consent gate gives access to vehicles"
            raise TypeError(message)


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

    async def changed_since(
        self, client_id: str, since: datetime, grant_id: int, at: datetime
    ) -> Mapping[str, frozenset[Scope]]:
        """Vehicles with a grant that changed since then or is newer, and the scopes that hold now.

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

    async def changed_since(
        self, client_id: str, since: datetime, grant_id: int, at: datetime
    ) -> Mapping[str, frozenset[Scope]]:
        """See `GrantReader`."""
        async with answering("TimescaleDB", OperationalError), self._pool.connection() as connection:
            return await GrantRepository(connection).changed_since(client_id, since, grant_id, at)


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

    async def open_many(
        self, partner: PartnerScope, vins: Collection[str], required: Collection[Scope]
    ) -> VehiclesAccess:
        """Access to those of the vehicles with consent for every scope that the resource needs: one look-up.

        Raises:
            InsufficientScopeError: the token does not hold a required scope.
            StoreUnavailableError: the grants cannot be read, so nobody gets in.
        """
        needed = frozenset(required)
        if not needed <= partner.scopes:
            raise InsufficientScopeError(needed)
        asked = tuple(sorted(set(vins)))
        granted = await self._grants.open_scopes_of(partner.client_id, asked, self._clock())
        return VehiclesAccess(
            partner.client_id,
            asked,
            {
                vin: VehicleAccess(partner.client_id, vin, partner.scopes & granted[vin], _SEAL)
                for vin in asked
                if vin in granted and needed <= granted[vin]
            },
            tuple(vin for vin in asked if not granted.get(vin)),
            tuple(vin for vin in asked if granted.get(vin) and not needed <= granted[vin]),
            _SEAL,
        )

    async def open_fleet(self, partner: PartnerScope, indexed_at: datetime, grant_id: int) -> FleetAccess:
        """What the partner may find: by the index as it was built, and by what changed since then.

        Args:
            partner: who asks.
            indexed_at: when the index read the grants, or earlier.
            grant_id: the newest grant that it then knew, or an older one.

        Raises:
            InsufficientScopeError: the token holds no scope that a search could be about.
            StoreUnavailableError: the grants cannot be read, so nobody finds anything.
        """
        if not partner.scopes & SEARCHABLE:
            raise InsufficientScopeError({Scope.TELEMETRY_READ})
        changed = await self._grants.changed_since(
            partner.client_id, indexed_at - CLOCKS_APART, grant_id, self._clock()
        )
        covered = {vin: scopes & partner.scopes for vin, scopes in changed.items()}
        return FleetAccess(partner.client_id, partner.scopes, covered, _SEAL)

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
