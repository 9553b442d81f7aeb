"""Parameters and dependencies that the vehicle endpoints share."""

from typing import Annotated

from fastapi import Path, Request, Security
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlows
from fastapi.security import OAuth2, SecurityScopes

from serving.consent.gate import VehicleAccess
from serving.partners.models import PartnerScope
from serving.scopes import DESCRIPTIONS, Scope
from serving.services import ServicesDep

VinPath = Annotated[
    str,
    Path(
        description="Vehicle identification number: 17 capitals and digits without I, O and Q (ISO 3779). "
        "The check digit is not asked for.",
        pattern=r"^[A-HJ-NPR-Z0-9]{17}$",
        examples=["1HGCM82633A123456"],
    ),
]

oauth2 = OAuth2(
    scheme_name="oauth2",
    description="Client credentials (RFC 6749 section 4.4) at /oauth/token.",
    flows=OAuthFlows(
        clientCredentials=OAuthFlowClientCredentials(
            tokenUrl="/oauth/token",
            scopes={str(scope): text for scope, text in DESCRIPTIONS.items()},
        )
    ),
    auto_error=False,
)


async def authenticated_partner(
    request: Request,
    services: ServicesDep,
    authorization: Annotated[str | None, Security(oauth2)],
) -> PartnerScope:
    """The partner whose token came with the request; noted for the access log."""
    partner = await services.bearer.authenticate(authorization)
    request.state.client_id = partner.client_id
    return partner


async def vehicle_access(
    needed: SecurityScopes,
    partner: Annotated[PartnerScope, Security(authenticated_partner)],
    vin: VinPath,
    services: ServicesDep,
) -> VehicleAccess:
    """Access to the vehicle in the path, for the scopes that the endpoint declares."""
    return await services.gate.open(partner, vin, [Scope(text) for text in needed.scopes])
