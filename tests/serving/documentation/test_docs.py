import re

import httpx
import pytest

from serving.scopes import Scope
from tests.serving.world import World

VEHICLE = "/api/v1/vehicles/{vin}"
OPERATIONS = {
    "GET /api/v1/search": {"200", "400", "401", "403", "422", "503"},
    f"GET {VEHICLE}/live-status": {"200", "401", "403", "404", "422", "503"},
    f"GET {VEHICLE}/maintenance-prediction": {"200", "401", "403", "404", "422", "503"},
    f"GET {VEHICLE}/odometer-history": {"200", "401", "403", "404", "422", "503"},
    f"GET {VEHICLE}/telemetry": {"200", "400", "401", "403", "404", "422", "503"},
    "POST /api/v1/vehicles/bulk/telemetry": {"200", "400", "401", "403", "413", "415", "422", "503"},
    f"POST {VEHICLE}/telemetry": {"202", "400", "401", "403", "404", "408", "409", "413", "415", "422"}
    | {"503"},
    f"POST {VEHICLE}/commands": {"202", "400", "401", "403", "404", "409", "413", "415", "422", "503"},
    f"GET {VEHICLE}/commands/{{command_id}}": {"200", "401", "403", "404", "422", "503"},
    "POST /oauth/token": {"200", "400", "401", "413", "503"},
    "GET /.well-known/jwks.json": {"200"},
    "GET /.well-known/oauth-authorization-server": {"200"},
    "GET /healthz": {"200"},
    "GET /readyz": {"200", "503"},
}


async def test_the_page_asks_nobody_outside(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.status_code == 200
    assert "//" not in re.sub(r"<!doctype.*?>", "", page.text)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    for address in re.findall(r'(?:src|href)="(/[^"]+)"', page.text):
        asset = await client.get(address)
        assert asset.status_code == 200, address
        assert len(asset.content) > 100


async def test_assets_are_served_and_nothing_beside_them(client: httpx.AsyncClient) -> None:
    for path in (
        "/docs/assets/../../pyproject.toml",
        "/docs/assets/%2e%2e/core.py",
        "/docs/assets/",
        "/docs/assets/x",
    ):
        assert (await client.get(path)).status_code == 404


async def test_every_operation_documents_every_answer(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    found = {
        f"{method.upper()} {path}": set(operation["responses"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert found == OPERATIONS


async def test_problems_are_documented_with_schema_and_example(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    for method, path in (operation.split() for operation in OPERATIONS):
        if path.startswith("/api/"):
            for status, response in document["paths"][path][method.lower()]["responses"].items():
                if not status.startswith("2"):
                    content = response["content"]["application/problem+json"]
                    assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                    assert content["example"]["status"] == int(status)


async def test_the_security_scheme_is_client_credentials_with_every_scope(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    flow = document["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    assert flow["tokenUrl"] == "/oauth/token"
    assert set(flow["scopes"]) == set(Scope)
    assert document["paths"]["/api/v1/vehicles/{vin}/odometer-history"]["get"]["security"] == [
        {"oauth2": ["odometer:read"]}
    ]


async def test_the_document_says_what_a_prediction_claims_and_who_may_read_it(
    client: httpx.AsyncClient,
) -> None:
    document = (await client.get("/openapi.json")).json()
    operation = document["paths"]["/api/v1/vehicles/{vin}/maintenance-prediction"]["get"]
    assert operation["security"] == [{"oauth2": ["maintenance:read"]}]
    assert [each["name"] for each in operation["parameters"]] == ["vin"]
    schemas = document["components"]["schemas"]
    assert schemas["RiskLevel"]["enum"] == ["low", "medium", "high", "unknown"]
    fields = {
        name: field.get("description", "") for name, field in schemas["PredictionRead"]["properties"].items()
    }
    for name, words in {
        "confidence": ("Calibrated probability", "30 days", "90 days", "`data_sufficiency`"),
        "data_sufficiency": ("Apart from `confidence`",),
        "estimated_failure": ("Null where", "12 months", "`unknown`"),
        "trained_on": ("simulated",),
    }.items():
        assert all(word in fields[name] for word in words), name


async def test_every_field_of_an_answer_is_described(client: httpx.AsyncClient) -> None:
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    for name in (
        "LiveStatusRead",
        "VehicleHealthRead",
        "HealthPartRead",
        "MaintenancePredictionRead",
        "PredictionRead",
        "EvidenceRead",
        "TrainedOnRead",
        "OdometerHistoryRead",
        "TelemetryPageRead",
        "RecordRead",
        "LocationRead",
        "SearchPageRead",
        "FoundRead",
        "FoundMetricRead",
        "FacetCountRead",
        "TroubleCodeRead",
    ):
        nameless = [
            field
            for field, schema in schemas[name]["properties"].items()
            if not {"description", "$ref", "const", "items"} & set(schema) and field != "vin"
        ]
        assert nameless == [], name


@pytest.mark.parametrize(("is_on", "status", "word"), [(False, 200, "ready"), (True, 503, "not_ready")])
async def test_readiness_names_each_store(
    is_on: bool, status: int, word: str, world: World, client: httpx.AsyncClient
) -> None:
    world.outage.is_on = is_on
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (status, word)
    assert set(answer.json()["stores"].values()) == {not is_on}
    assert (await client.get("/healthz")).json() == {"status": "alive"}
