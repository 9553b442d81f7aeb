"""`piston backfill`: what it refuses, and what it says. No server runs for the refusals."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import build
from telematics.settings import Settings
from tests.stack_fixture import PORTS
from tests.warehouse.backfill.making import make_history, make_record, new_vin
from warehouse.backfill import FolderError


def _run(*arguments: str) -> tuple[int, str, BaseException | None]:
    result = CliRunner().invoke(build(), ["backfill", *arguments])
    return result.exit_code, result.stdout, result.exception


def test_help_says_what_a_folder_is():
    code, shown, _ = _run("--help")
    assert code == 0
    assert "manifest.json" in shown
    assert "backfill_rejects" in shown


def test_a_folder_that_is_not_whole_ends_with_code_2(tmp_path: Path):
    (make_history().write(tmp_path) / "vehicles.parquet").unlink()
    _, shown, error = _run(str(tmp_path))
    assert shown == ""
    assert isinstance(error, FolderError)
    assert error.exit_code == 2


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
