"""An application on readers in memory, with a clock that tests move."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import httpx
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import ECKey

from serving.app import create_app
from serving.consent.gate import ConsentGate, VehicleAccess, VehiclesAccess
from serving.health.readiness import Readiness
from serving.oauth.keys import SigningKeys, parse_keys
from serving.partners import secrets
from serving.partners.models import Partner, PartnerScope, Tier
from serving.scopes import PartnerKind, Scope
from serving.search.cursors import SearchCursors
from serving.search.service import SearchService
from serving.services import Services, oauth_services
from serving.time_range import TimeRange
from serving.vehicles.bulk.service import BulkService
from serving.vehicles.commands.service import CommandService
from serving.vehicles.live_status.repository import LiveState
from serving.vehicles.live_status.service import LiveStatusService
from serving.vehicles.maintenance.service import MaintenanceService
from serving.vehicles.odometer.service import OdometerService
from serving.vehicles.readings.service import ReadingService
from serving.vehicles.scores import Maintenance, parse_scores
from serving.vehicles.telemetry.asked import Asked
from serving.vehicles.telemetry.cursors import CursorSeal
from serving.vehicles.telemetry.service import TelemetryService
from telematics.settings import Settings
from tests.serving.finding import NoMark, Vehicles
from tests.serving.posting import NOW, Commands, Devices, Log, Outage, Requests
from warehouse.history import AGGREGATES, FleetPage, OdometerReading, Page, Resolution, VehiclePart

VIN = "1HGCM82633A123456"
OTHER_VIN = "1HGCM82633A654321"
CLIENT_ID = "pc_" + "a" * 20


@lru_cache(maxsize=1)
def keys() -> SigningKeys:
    return parse_keys(ECKey.generate_key("P-256").as_pem(private=True).decode())


@lru_cache(maxsize=1)
def known_secret() -> tuple[str, str]:
    secret = secrets.new_secret()
    return secret, secrets.hash_secret(secret)


class MovableClock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass
class Partners:
    outage: Outage
    stored: dict[str, Partner] = field(default_factory=dict)
    lookups: int = 0

    async def find(self, client_id: str) -> Partner | None:
        self.outage.check()
        self.lookups += 1
        return self.stored.get(client_id)

    async def find_with_secret_hash(self, client_id: str) -> tuple[Partner, str] | None:
        partner = await self.find(client_id)
        return None if partner is None else (partner, known_secret()[1])


@dataclass
class Grants:
    outage: Outage
    stored: dict[tuple[str, str], frozenset[Scope]] = field(default_factory=dict)

    async def open_scopes(self, client_id: str, vin: str, at: datetime) -> frozenset[Scope]:
        self.outage.check()
        return self.stored.get((client_id, vin), frozenset())

    async def open_scopes_of(
        self, client_id: str, vins: Collection[str], at: datetime
    ) -> dict[str, frozenset[Scope]]:
        self.outage.check()
        return {vin: self.stored[client_id, vin] for vin in vins if (client_id, vin) in self.stored}

    async def changed_since(
        self, client_id: str, since: datetime, grant_id: int, at: datetime
    ) -> dict[str, frozenset[Scope]]:
        self.outage.check()
        return {vin: scopes for (owner, vin), scopes in self.stored.items() if owner == client_id}


@dataclass
class LiveStates:
    outage: Outage
    stored: dict[str, LiveState] = field(default_factory=dict)

    async def read(self, access: VehicleAccess) -> LiveState:
        self.outage.check()
        return self.stored.get(access.vin, LiveState())


@dataclass
class Maintenances:
    """Predictions, kept as the text that would stand in Redis."""

    outage: Outage
    stored: dict[str, bytes] = field(default_factory=dict)

    async def read(self, access: VehicleAccess) -> Maintenance | None:
        self.outage.check()
        return parse_scores(self.stored.get(access.vin)).maintenance


@dataclass
class Odometers:
    outage: Outage
    stored: list[OdometerReading] = field(default_factory=list)
    asked: list[tuple[date, date]] = field(default_factory=list)

    async def readings(self, access: VehicleAccess, start: date, end: date) -> Sequence[OdometerReading]:
        self.outage.check()
        self.asked.append((start, end))
        return [reading for reading in self.stored if start <= reading.date < end]


@dataclass
class Records:
    outage: Outage
    stored: list[dict[str, Any]] = field(default_factory=list)
    asked: list[TimeRange] = field(default_factory=list)
    columns: tuple[str, ...] = ()
    """Of the last question."""
    pending_days: tuple[date, ...] = ()
    bug: Exception | None = None

    async def page(self, access: VehicleAccess, asked: Asked, limit: int, after: str | None) -> Page:
        found = self._of(asked)
        start = int(after or 0)
        more = str(start + limit) if start + limit < len(found) else None
        return Page(tuple(found[start : start + limit]), ("hot",), more, self.pending_days)

    async def fleet_page(
        self, access: VehiclesAccess, asked: Asked, limit: int, after: str | None
    ) -> FleetPage:
        """Every vehicle has the same records."""
        found = [(vin, row) for vin in access.vehicles for row in self._of(asked)]
        start = int(after or 0)
        part = found[start : start + limit]
        more = str(start + limit) if start + limit < len(found) else None
        return FleetPage(
            tuple(
                VehiclePart(vin, rows, ("hot",), self.pending_days)
                for vin in access.vehicles
                if (rows := tuple(row for owner, row in part if owner == vin))
            ),
            more,
        )

    def _of(self, asked: Asked) -> list[dict[str, Any]]:
        self.outage.check()
        if self.bug is not None:
            raise self.bug
        self.asked.append(asked.span)
        self.columns = asked.columns
        make = dict if asked.resolution is Resolution.RAW else as_bucket
        return [make(row) for row in self.stored if asked.span.start <= row["time"] < asked.span.end]


@dataclass
class World:
    """The application's surroundings, and a partner's means to ask it."""

    clock: MovableClock
    settings: Settings
    outage: Outage
    partners: Partners
    grants: Grants
    live: LiveStates
    maintenance: Maintenances
    odometer: Odometers
    records: Records
    vehicles: Vehicles
    devices: Devices
    log: Log
    requests: Requests
    commands: Commands
    keys: SigningKeys
    secret: str

    @property
    def partner(self) -> Partner:
        return self.partners.stored[CLIENT_ID]

    def change_partner(self, **changes: Any) -> None:
        self.partners.stored[CLIENT_ID] = replace(self.partner, **changes)

    def grant(self, *scopes: Scope, vin: str = VIN) -> None:
        self.grants.stored[CLIENT_ID, vin] = frozenset(scopes or Scope)

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(self.clock().timestamp())
        claims = {
            "iss": self.settings.issuer,
            "aud": self.settings.token_audience,
            "sub": CLIENT_ID,
            "client_id": CLIENT_ID,
            "scope": " ".join(Scope),
            "jti": "e7b1a6c2",
            "iat": now,
            "exp": now + 600,
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(
        self,
        claims: Mapping[str, Any] | None = None,
        *,
        header: Mapping[str, Any] | None = None,
        key: Any = None,
    ) -> str:
        head = {"typ": "at+jwt", "alg": "ES256", "kid": self.keys.key_id, **(header or {})}
        return jwt.encode(
            {name: value for name, value in head.items() if value is not None},
            dict(claims or self.claims()),
            key or self.keys.signing,
            algorithms=[head["alg"]],
        )

    def headers(self, **claims: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(self.claims(**claims))}"}

    def scope(self, *scopes: Scope) -> PartnerScope:
        return PartnerScope(CLIENT_ID, PartnerKind.HISTORY, Tier.STANDARD, frozenset(scopes))

    async def access(self, *scopes: Scope, vin: str = VIN) -> VehicleAccess:
        """Access by the gate itself: there is no other way, in tests either."""
        self.grant(*scopes, vin=vin)
        return await ConsentGate(self.grants, self.clock).open(self.scope(*(scopes or tuple(Scope))), vin, ())

    async def access_many(self, *vins: str) -> VehiclesAccess:
        """Access to those of the vehicles that are granted, by the gate."""
        return await ConsentGate(self.grants, self.clock).open_many(self.scope(*Scope), vins, ())

    def app(self) -> FastAPI:
        @asynccontextmanager
        async def on_these_readers(settings: Settings) -> AsyncIterator[Services]:
            tokens, bearer = oauth_services(settings, self.partners, self.keys, self.clock)
            gate = ConsentGate(self.grants, self.clock)

            async def store() -> None:
                self.outage.check()

            yield Services(
                issuer=settings.issuer,
                keys=self.keys,
                tokens=tokens,
                bearer=bearer,
                gate=gate,
                live_status=LiveStatusService(self.live),
                maintenance=MaintenanceService(self.maintenance),
                odometer=OdometerService(self.odometer, self.clock),
                telemetry=TelemetryService(self.records, CursorSeal.from_keys(self.keys), self.clock),
                bulk=BulkService(self.records, CursorSeal.from_keys(self.keys), self.clock),
                search=SearchService(self.vehicles, NoMark(), gate, SearchCursors.from_keys(self.keys)),
                devices=self.devices,
                readings=ReadingService(self.log, self.requests, self.clock),
                commands=CommandService(self.commands, self.requests),
                readiness=Readiness({"timescale": store, "valkey": store}),
            )

        return create_app(self.settings, on_these_readers)


def make_record(**changes: Any) -> dict[str, Any]:
    return {
        "time": datetime(2026, 2, 1, 8, 30, tzinfo=UTC),
        "received_at": datetime(2026, 2, 1, 8, 30, 1, tzinfo=UTC),
        "lat": 42.2808256,
        "lng": -83.7430378,
        "hdop": 0.8,
        "is_valid": True,
        "satellites": 11,
        "speed_mph": 45.36045455932617,  # a float32 as ClickHouse hands it out
        "heading": 214,
        "altitude_ft": 853.0184,
        "odometer": 45632.11731,
        "odometer_source": "gnss",
        "fuel_pct": 62.0,
        "battery_v": 12.399999618530273,
        "dtc_codes": ["P0300"],
        "ignition": True,
        "movement": True,
        "rpm": 1450,
        "coolant_c": 88,
        "engine_load_pct": 31,
        "ambient_c": 12,
        "hv_soc_pct": None,
        "event_id": 0,
        **changes,
    }


def as_bucket(row: dict[str, Any]) -> dict[str, Any]:
    """A bucket with this record alone in it."""
    told = {"time": row["time"], "data_points": 1, "distance_mi": 0.0}
    for column, aggregates in AGGREGATES.items():
        told |= {each.name: row[column] for each in aggregates if each.name not in told}
    return told


def make_world() -> World:
    outage = Outage()
    requests = Requests(outage)
    made = World(
        clock=MovableClock(),
        settings=Settings(environment="test", api_port=8000, _env_file=None),
        outage=outage,
        partners=Partners(outage),
        grants=Grants(outage),
        live=LiveStates(outage),
        maintenance=Maintenances(outage),
        odometer=Odometers(outage),
        records=Records(outage),
        vehicles=Vehicles(outage),
        devices=Devices(outage),
        log=Log(),
        requests=requests,
        commands=Commands(outage, requests),
        keys=keys(),
        secret=known_secret()[0],
    )
    made.partners.stored[CLIENT_ID] = Partner(
        CLIENT_ID, "Northwind", PartnerKind.HISTORY, Tier.STANDARD, frozenset(Scope), NOW
    )
    made.grant()
    return made


def connect(app: FastAPI) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    @asynccontextmanager
    async def connected() -> AsyncIterator[httpx.AsyncClient]:
        async with app.router.lifespan_context(app) as state:

            async def with_state(scope: Any, receive: Any, send: Any) -> None:
                await app({**scope, "state": dict(state or {})}, receive, send)

            transport = httpx.ASGITransport(with_state, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://piston.test") as client:
                yield client

    return connected()
