"""The API behaves as its OpenAPI document says, whatever it is asked (Schemathesis)."""

from datetime import timedelta

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from serving.vehicles.live_status.repository import LiveState
from serving.vehicles.scores import parse_scores
from tests.serving.finding import make_document as make_vehicle
from tests.serving.published import (
    make_document,
    make_maintenance,
    make_prediction,
    make_unknown_prediction,
    stored,
)
from tests.serving.world import NOW, VIN, World, make_record, make_world

CHECKS = [
    checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
    negative_data_rejection,
]


def make_busy_world() -> World:
    """One vehicle with data, granted; its VIN is the example in the document."""
    world = make_world()
    world.live.stored[VIN] = LiveState(scores=parse_scores(stored(make_document())))
    predictions = make_maintenance(make_prediction(), make_unknown_prediction(component="brakes"))
    world.maintenance.stored[VIN] = stored(make_document(maintenance=predictions))
    world.vehicles.stored = [make_vehicle(VIN)]
    world.commands.imeis[VIN] = ["356307042441013"]
    world.records.stored = [make_record(time=NOW - timedelta(hours=hour)) for hour in range(5)]
    return world


@schemathesis.serializer("application/x-ndjson")
def as_lines(_context: object, value: object) -> bytes:
    """What the generator made of an NDJSON body: text, mostly."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


WORLD = make_busy_world()
schema = schemathesis.openapi.from_asgi("/openapi.json", WORLD.app())


@schema.parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_every_answer_is_as_documented(case: schemathesis.Case) -> None:
    headers = WORLD.headers() if case.path.startswith("/api/") else {}
    case.call_and_validate(headers=headers, checks=CHECKS)
