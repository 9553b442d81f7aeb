"""Who may post readings: a device with its key, or a partner with a token for `telemetry:write`."""

from typing import Annotated

from fastapi import Request, Security
from fastapi.security import APIKeyHeader, SecurityScopes

from serving.device_keys.models import DeviceIdentity
from serving.partners.models import PartnerScope
from serving.problems.errors import UnauthenticatedError
from serving.scopes import Scope
from serving.services import ServicesDep
from serving.vehicles.parameters import VinPath, oauth2
from serving.vehicles.readings.source import ReadingSource

KEY_HEADER = "X-API-Key"

_device_key = APIKeyHeader(
    name=KEY_HEADER,
    scheme_name="deviceKey",
    description="A device's own key, `pdk_…`, made by `piston device key add IMEI`.",
    auto_error=False,
)


async def authenticated_source(
    request: Request,
    services: ServicesDep,
    authorization: Annotated[str | None, Security(oauth2)],
    device_key: Annotated[str | None, Security(_device_key)],
) -> PartnerScope | DeviceIdentity:
    """The partner or device behind the request; noted for the access log, which names no IMEI."""
    if device_key is None:
        partner = await services.bearer.authenticate(authorization)
        request.state.client_id = partner.client_id
        return partner
    if authorization is not None:
        message = f"Send an access token or a device key ({KEY_HEADER}), not both."
        raise UnauthenticatedError(message)
    device = await services.devices.authenticate(device_key)
    request.state.client_id = device.key_id
    return device


async def reading_source(
    needed: SecurityScopes,
    who: Annotated[PartnerScope | DeviceIdentity, Security(authenticated_source)],
    vin: VinPath,
    services: ServicesDep,
) -> ReadingSource:
    """The source of readings for the vehicle in the path; unknown and not granted are the same 404."""
    if isinstance(who, DeviceIdentity):
        return ReadingSource.of_device(await services.devices.open(who, vin))
    access = await services.gate.open(who, vin, [Scope(text) for text in needed.scopes])
    return ReadingSource.of_partner(access)
