"""Everything that requests need, opened once a process and closed with it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ingest.device_time import DeviceTimes
from serving.consent.gate import ConsentGate, StoredGrants
from serving.device_keys.authenticator import DeviceGate, StoredDeviceGate
from serving.health.readiness import Readiness, store_probes
from serving.idempotency.service import StoredIdempotency
from serving.oauth.bearer import BearerAuthenticator
from serving.oauth.keys import SigningKeys, load_keys
from serving.oauth.service import TokenService
from serving.oauth.tokens import TokenIssuer, TokenVerifier
from serving.partners.directory import PartnerDirectory, Pool, StoredPartners
from serving.partners.secrets import SecretChecker
from serving.search.cursors import SearchCursors
from serving.search.mark import StoredMark
from serving.search.repository import StoredVehicles
from serving.search.service import SearchService
from serving.stores import ANSWER_WITHIN_S
from serving.vehicles.bulk.service import BulkService
from serving.vehicles.commands.repository import StoredCommands
from serving.vehicles.commands.service import CommandService
from serving.vehicles.live_status.repository import StoredLiveState
from serving.vehicles.live_status.service import LiveStatusService
from serving.vehicles.maintenance.repository import StoredMaintenance
from serving.vehicles.maintenance.service import MaintenanceService
from serving.vehicles.odometer.repository import StoredOdometer
from serving.vehicles.odometer.service import OdometerService
from serving.vehicles.readings.log import KafkaReadingLog
from serving.vehicles.readings.service import ReadingService
from serving.vehicles.telemetry.cursors import CursorSeal
from serving.vehicles.telemetry.repository import StoredTelemetry
from serving.vehicles.telemetry.service import TelemetryService
from telematics.clock import Clock, utc_now
from telematics.settings import Settings
from warehouse.history import HistoryStores
from warehouse.search.index import async_client

_POOL_SIZE = 8


@dataclass(frozen=True, slots=True)
class Services:
    """What endpoints work with."""

    issuer: str
    keys: SigningKeys
    tokens: TokenService
    bearer: BearerAuthenticator
    gate: ConsentGate
    live_status: LiveStatusService
    maintenance: MaintenanceService
    odometer: OdometerService
    telemetry: TelemetryService
    bulk: BulkService
    search: SearchService
    devices: DeviceGate
    readings: ReadingService
    commands: CommandService
    readiness: Readiness


def oauth_services(
    settings: Settings, partners: PartnerDirectory, keys: SigningKeys, clock: Clock = utc_now
) -> tuple[TokenService, BearerAuthenticator]:
    """The two ends of a token's life over one set of keys."""
    issuer = TokenIssuer(
        keys,
        issuer=settings.issuer,
        audience=settings.token_audience,
        lifetime_s=settings.token_lifetime_s,
        clock=clock,
    )
    verifier = TokenVerifier(keys, issuer=settings.issuer, audience=settings.token_audience, clock=clock)
    return (
        TokenService(partners, SecretChecker(), issuer),
        BearerAuthenticator(verifier, partners, clock),
    )


def _pool(settings: Settings) -> Pool:
    return AsyncConnectionPool(
        settings.timescale_dsn(),
        connection_class=AsyncConnection,
        min_size=1,
        max_size=_POOL_SIZE,
        open=False,
        timeout=ANSWER_WITHIN_S,
        check=AsyncConnectionPool.check_connection,
        kwargs={"autocommit": True, "row_factory": dict_row, "connect_timeout": 3, "application_name": "api"},
    )


@asynccontextmanager
async def open_services(settings: Settings, clock: Clock = utc_now) -> AsyncIterator[Services]:
    """Open the services on the stack's stores.

    No store has to answer for this: a store that is down, or comes up later, is a 503 of the requests that
    need it and a word in /readyz.

    Raises:
        SigningKeyError: the signing key is missing or wrong.
    """
    keys = load_keys(settings)
    async with AsyncExitStack() as stack:
        pool = _pool(settings)
        await pool.open(wait=False)
        stack.push_async_callback(pool.close)
        redis = Redis.from_url(
            settings.valkey_url(),
            socket_timeout=ANSWER_WITHIN_S,
            socket_connect_timeout=ANSWER_WITHIN_S,
            retry=Retry(NoBackoff(), 1),  # one more try: the kept connection may be from before a restart
        )
        stack.push_async_callback(redis.aclose)
        log = KafkaReadingLog(settings)
        stack.push_async_callback(log.close)
        idempotency = StoredIdempotency(pool)
        history = await HistoryStores.open(settings)
        stack.push_async_callback(history.close)
        telemetry, cursors = StoredTelemetry(history), CursorSeal.from_keys(keys)
        search = async_client(settings, timeout_s=ANSWER_WITHIN_S)
        stack.push_async_callback(search.close)
        gate = ConsentGate(StoredGrants(pool), clock)
        tokens, bearer = oauth_services(settings, StoredPartners(pool), keys, clock)
        yield Services(
            issuer=settings.issuer,
            keys=keys,
            tokens=tokens,
            bearer=bearer,
            gate=gate,
            live_status=LiveStatusService(StoredLiveState(redis)),
            maintenance=MaintenanceService(StoredMaintenance(redis)),
            odometer=OdometerService(StoredOdometer(history), clock),
            telemetry=TelemetryService(telemetry, cursors, clock),
            bulk=BulkService(telemetry, cursors, clock),
            search=SearchService(
                StoredVehicles(search), StoredMark(search), gate, SearchCursors.from_keys(keys)
            ),
            devices=StoredDeviceGate(pool, clock),
            readings=ReadingService(log, idempotency, clock, DeviceTimes.of(settings)),
            commands=CommandService(StoredCommands(pool), idempotency),
            readiness=Readiness(store_probes(settings, pool, redis)),
        )


def services_of(request: Request) -> Services:
    """The services of the application that serves this request."""
    services: Services = request.state.services
    return services


ServicesDep = Annotated[Services, Depends(services_of)]
