"""`piston backfill`: what it refuses, and what it says. No server runs for the refusals."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.backfill import NothingLoadedError, SetAsideError
from cli.main import build
from telematics.errors import ConfigurationError
from telematics.settings import Settings
from tests.stack_fixture import PORTS
from tests.warehouse.backfill.making import make_history, make_record, new_vin
from warehouse.backfill import FolderError
from warehouse.backfill.telemetry import MappingError, SourceError


def _run(*arguments: str) -> tuple[int, str, BaseException | None]:
    result = CliRunner().invoke(build(), ["backfill", *arguments])
    return result.exit_code, result.stdout, result.exception


def test_help_says_what_a_path_is_and_what_exit_codes_mean():
    code, shown, _ = _run("--help")
    assert code == 0
    for word in ("manifest.json", "backfill_rejects", "s3://", "Exit codes"):
        assert word in shown


def test_a_folder_that_is_not_whole_ends_with_code_2(tmp_path: Path):
    (make_history().write(tmp_path) / "vehicles.parquet").unlink()
    _, shown, error = _run(str(tmp_path))
    assert shown == ""
    assert isinstance(error, FolderError)
    assert error.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("nowhere",), SourceError),
        ((".", "--mapping", "nothing.toml"), MappingError),
        ((".", "--register"), ConfigurationError),
        ((".", "--origin", "live"), ConfigurationError),
        ((".", "--register", "--origin", "simulated"), ConfigurationError),
    ],
)
def test_what_is_refused_ends_with_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], error: type[Exception]
):
    monkeypatch.chdir(tmp_path)
    _, shown, raised = _run(*arguments)
    assert shown == ""
    assert type(raised) is error
    assert getattr(raised, "exit_code", None) == 2


def test_a_simulated_history_takes_no_mapping(tmp_path: Path):
    _, _, error = _run(str(make_history().write(tmp_path)), "--dry-run")
    assert isinstance(error, ConfigurationError)


@pytest.mark.integration
def test_telemetry_is_looked_at_loaded_and_reported_without_a_vin(
    stack: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in PORTS:
        monkeypatch.setenv(f"PISTON_{name.upper()}", str(getattr(stack, name)))
    monkeypatch.setenv("PISTON_FIRST_DAY", "2024-01-01")
    vin = "WCLTEST0000000001"
    file = tmp_path / "h.csv"
    file.write_text(
        "time,vin,speed_mph,colour\n"
        f"2011-05-01T10:00:00Z,{vin},30,red\n2011-05-01T10:00:01Z,{vin},31,red\n"
        f"2011-05-01T10:00:01Z,{vin},31,red\n2011-05-01T10:00:02Z,{vin},fast,red\n"
    )
    code, shown, error = _run(str(file))
    assert (code, type(error)) == (1, NothingLoadedError)
    assert "set aside: 4 × h.csv: unknown vehicle" in shown
    register = ("--register", "--origin", "live")
    _, shown, error = _run(str(file), *register, "--dry-run")
    assert type(error) is SetAsideError
    assert "dry run: nothing was written" in shown
    assert "h.csv, row 4: a value is no number (speed_mph)" in shown
    assert "ignored columns: colour" in shown
    _, shown, error = _run(str(file), *register, "--json")
    assert (type(error), error.exit_code) == (SetAsideError, 1)
    report = json.loads(shown)
    assert (report["loaded_rows"], report["doubled_rows"], report["rejected_rows"]) == (2, 1, 1)
    assert (report["registered_vehicles"], report["odd_check_digits"]) == (1, 1)
    assert report["columns"]["ignored"] == ["colour"]
    _, again, _ = _run(str(file), *register)
    assert again.startswith("nothing to load: the same files")
    assert "days before PISTON_FIRST_DAY=2024-01-01 can be read" in again
    assert vin not in shown + again


@pytest.mark.integration
def test_the_summary_counts_what_was_loaded_and_set_aside(
    stack: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name in PORTS:
        monkeypatch.setenv(f"PISTON_{name.upper()}", str(getattr(stack, name)))
    history = make_history()
    history.records.append(make_record(new_vin()))
    folder = history.write(tmp_path)
    code, shown, error = _run(str(folder), "--json")
    assert (code, error) == (0, None)
    summary = json.loads(shown)
    assert (summary["is_new"], summary["day_rows"], summary["first_day"]) == (True, 6, "2026-03-01")
    assert summary["rejected"] == {"service_records.parquet: unknown vehicle": 1}
    code, shown, _ = _run(str(folder))
    assert code == 0
    assert shown.startswith("nothing to load: the same files are load")
