"""GET /api/v1/search."""

from typing import Annotated, Any
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Query, Request, Security
from starlette.responses import Response

from serving.partners.models import PartnerScope
from serving.problems.responses import documented
from serving.responses import private_json
from serving.search.parameters import SearchQuery
from serving.search.schemas import SearchPageMetricRead, SearchPageRead
from serving.services import ServicesDep
from serving.vehicles import API_PREFIX
from serving.vehicles.parameters import authenticated_partner

router = APIRouter(prefix=API_PREFIX, tags=["search"])

_LINK: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A page of vehicles.",
        "headers": {
            "Link": {
                "description": 'RFC 8288: `<…>; rel="next"` where there is a next page.',
                "schema": {"type": "string"},
            }
        },
    }
}


@router.get(
    "/search",
    summary="Find vehicles",
    response_model=SearchPageRead | SearchPageMetricRead,
    responses={**_LINK, **documented(400, 401, 403, 422, 503)},
)
async def search(
    request: Request,
    partner: Annotated[PartnerScope, Security(authenticated_partner)],
    query: Annotated[SearchQuery, Query()],
    services: ServicesDep,
) -> Response:
    """Which of your vehicles fit, the best first.

    Only vehicles with their owner's consent are found, counted and listed, each by what the consent covers:
    VIN, make, model and year with any reading scope, trouble codes and their meaning with `dtc:read`, places
    with `location:precise`, or by the rounded position with `location:coarse`. Positions are a few seconds
    old. Follow `next` (or the `Link` header) until it is null.
    """
    answer = await services.search.page(partner, query)
    headers = {}
    if answer.next_cursor is not None:
        given = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
        more = urlencode([*given, ("cursor", answer.next_cursor)])
        headers["Link"] = f'<{request.url.path}?{more}>; rel="next"'
    return private_json(orjson.dumps(answer.body), headers)
