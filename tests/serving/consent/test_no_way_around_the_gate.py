"""Walks the code of `serving/`: vehicle data is read with proof of access, and only the gate makes that."""

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

GATE = "consent/gate.py"
SEARCH = "search/repository.py"
PROOFS = {"VehicleAccess", "VehiclesAccess", "FleetAccess"}
# reading vehicle data starts with one of these
DATA_MODULES = ("warehouse.history",)
DATA_NAMES = ("live_key", "scores_key", "SEARCH_ALIAS")
INDEX_FACTS = "search/mark.py"
"""Asks the index for its mapping, in which there are no vehicles."""
# values of the history and of the search index, and their connections, are no reads
HARMLESS = {
    "HistoryStores", "InvalidCursorError", "OdometerReading", "Page", "FleetPage", "VehiclePart",
    "Resolution", "DATA_POINTS",
    "ConsentMark", "FAILURES", "async_client", "parse_mark",
}  # fmt: skip
SQL_TABLES = (
    "telemetry",
    "vehicle_analytics",
    "trips",
    "odometer_readings",
    "telemetry_hourly",
    "component_day_signals",
    "loaded_component_day_signals",
    "ftr_component_days",
    "service_records",
    "maintenance_predictions",
    "health_scores",
)


@pytest.fixture(scope="module")
def modules(repository: Path) -> dict[str, ast.Module]:
    root = repository / "serving"
    return {str(path.relative_to(root)): ast.parse(path.read_text()) for path in sorted(root.rglob("*.py"))}


def _is_vehicle_repository(name: str) -> bool:
    return name == SEARCH or (name.startswith("vehicles/") and name.endswith("/repository.py"))


def reads_of_vehicle_data(module: ast.Module) -> Iterator[str]:
    """Names that a module imports and that read vehicle data."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("warehouse"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("warehouse"):
            yield from (alias.name for alias in node.names if alias.name not in HARMLESS)
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names if alias.name in DATA_NAMES)
        elif isinstance(node, ast.Attribute) and node.attr in DATA_NAMES:
            yield node.attr


def queries_of_vehicle_tables(module: ast.Module) -> Iterator[str]:
    """SQL texts that name a table of vehicle data."""
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = node.value.lower().replace(",", " ").replace(".", " ").split()
            for verb, table in pairwise(words):
                if verb in ("from", "join") and table in SQL_TABLES:
                    yield node.value


def open_functions(module: ast.Module) -> Iterator[str]:
    """Async methods and functions without a parameter that proves access; closing a client needs none."""
    for node in ast.walk(module):
        if isinstance(node, ast.AsyncFunctionDef):
            annotations = [ast.unparse(arg.annotation) for arg in node.args.args if arg.annotation]
            names = [arg.arg for arg in node.args.args]
            if node.name != "close" and (not PROOFS & set(annotations) or {"vin", "vins"} & set(names)):
                yield node.name


def makers_of_access(module: ast.Module) -> Iterator[int]:
    """Lines that call VehicleAccess, touch its seal, or copy one with other contents."""
    for node in ast.walk(module):
        named = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        if named.split(".")[-1] in (*PROOFS, "replace", "__replace__", "__setattr__") and "str" not in named:
            arguments = ast.unparse(node)
            if any(proof in arguments for proof in (*PROOFS, "access", "fleet")):
                yield node.lineno
        if isinstance(node, ast.Name | ast.Attribute) and "_SEAL" in ast.unparse(node):
            yield node.lineno


def test_vehicle_data_is_read_by_repositories_only(modules: dict[str, ast.Module]) -> None:
    readers = {name for name, module in modules.items() if any(reads_of_vehicle_data(module))}
    assert {name for name in readers if not _is_vehicle_repository(name)} == {INDEX_FACTS}
    assert len(readers) == 6


def test_every_repository_of_vehicle_data_asks_for_access_instead_of_a_vin(
    modules: dict[str, ast.Module],
) -> None:
    repositories = {name: module for name, module in modules.items() if _is_vehicle_repository(name)}
    assert len(repositories) == 6
    assert {
        name: found for name, module in repositories.items() if (found := list(open_functions(module)))
    } == {}


def test_no_query_here_names_a_table_of_vehicle_data(modules: dict[str, ast.Module]) -> None:
    assert {
        name: found for name, module in modules.items() if (found := list(queries_of_vehicle_tables(module)))
    } == {}


def test_only_the_gate_makes_access(modules: dict[str, ast.Module]) -> None:
    assert {name for name, module in modules.items() if any(makers_of_access(module))} == {GATE}


@pytest.mark.parametrize(
    "code",
    [
        "from warehouse.history import read",
        "import warehouse.history as h",
        "from telematics import names\nnames.live_key(vin)",
        "from telematics.names import scores_key",
    ],
)
def test_a_read_elsewhere_would_be_seen(code: str) -> None:
    assert list(reads_of_vehicle_data(ast.parse(code)))


def test_a_repository_that_takes_a_vin_would_be_seen() -> None:
    methods = ("async def a(self, vin: str): ...", "async def b(self, access: VehicleAccess, vin: str): ...")
    code = "class R:\n " + "\n ".join(methods)
    assert list(open_functions(ast.parse(code))) == ["a", "b"]


@pytest.mark.parametrize(
    "code",
    [
        "VehicleAccess('a', 'b', scopes, s)",
        "FleetAccess('a', scopes, groups, s)",
        "VehiclesAccess('a', vins, vehicles, (), (), s)",
        "dataclasses.replace(fleet, groups=others)",
        "gate.VehicleAccess('a', 'b', scopes, s)",
        "dataclasses.replace(access, vin='x')",
        "object.__setattr__(access, 'vin', 'x')",
        "from serving.consent import gate\ngate._SEAL",
    ],
)
def test_access_made_elsewhere_would_be_seen(code: str) -> None:
    assert list(makers_of_access(ast.parse(code)))
