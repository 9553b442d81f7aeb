"""`piston archive`: what it says, and what its exit codes mean."""

import json
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from cli.main import build
from telematics.clock import utc_today
from telematics.errors import ConfigurationError, ConflictError, NotFoundError
from telematics.settings import Settings
from tests.stack_fixture import PORTS
from tests.warehouse.conftest import Fleet
from warehouse.archive.archiving import archive_days
from warehouse.day_load import load_days
from warehouse.retention import drop_merged_days

DAY = timedelta(1)
FIRST = date(1999, 1, 4)
"""Before any other test's days."""


def run(*arguments: str) -> tuple[int, str, BaseException | None]:
    result = CliRunner().invoke(build(), ["archive", *arguments])
    return result.exit_code, result.stdout, result.exception


def test_a_day_that_is_none_ends_with_code_2():
    _, shown, error = run("restore", "yesterday")
    assert shown == ""
    assert isinstance(error, ConfigurationError)


@pytest.mark.integration
def test_list_verify_restore_and_run(stack: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings = stack.model_copy(update={"archive_url": str(tmp_path / "archive")})
    for name in PORTS:
        monkeypatch.setenv(f"PISTON_{name.upper()}", str(getattr(stack, name)))
    monkeypatch.setenv("PISTON_ARCHIVE_URL", settings.archive)
    fleet = Fleet(settings, FIRST)
    imei, _ = fleet.install()
    fleet.write(fleet.make_rows(imei, FIRST, 7))
    load_days(settings, FIRST, FIRST + DAY, "cli")
    assert FIRST in drop_merged_days(settings, FIRST + 8 * DAY, 7).dropped
    keep = (utc_today() - FIRST).days - 1
    code, shown, error = run("run", "--keep-days", str(keep), "--json")
    assert (code, error) == (0, None)
    report = json.loads(shown)
    assert ("1999-01-04", 7) in [(done["day"], done["row_count"]) for done in report["archived"]]

    code, shown, _ = run("list", "--json")
    [file] = [file for file in json.loads(shown) if file["day"] == "1999-01-04"]
    assert (code, file["row_count"], file["is_serving"], file["version"]) == (0, 7, True, 1)
    assert "serves the day" in run("list")[1]

    code, shown, _ = run("verify", "1999-01-04", "--json")
    assert (code, [found["verdict"] for found in json.loads(shown)]) == (0, ["sound"])
    code, shown, _ = run("restore", "1999-01-04", "--json")
    assert (code, json.loads(shown)["state"]) == (0, "readable")
    assert isinstance(run("verify", "1999-01-05")[2], NotFoundError)
    assert isinstance(run("restore", "1999-01-05")[2], NotFoundError)

    path = Path(settings.archive) / file["key"]
    path.write_bytes(path.read_bytes()[:-1])
    _, shown, error = run("verify", "1999-01-04")
    assert "damaged" in shown
    assert path.name in shown
    assert isinstance(error, ConflictError)
    assert error.exit_code == 4
    with psycopg.connect(stack.timescale_dsn()) as connection:
        # leave no day behind whose file goes with this test's folder
        connection.execute("update day_loads set warm_dropped_at = null, archive_version = null")
        connection.execute("delete from day_archives")
    assert archive_days(settings, FIRST, 0, only=set()).archived == ()
