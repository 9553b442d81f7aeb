import asyncio
import json
from datetime import timedelta

import pyarrow.parquet as pq
import pytest
from click.testing import Result
from typer.testing import CliRunner

from cli.main import build
from telematics.clock import utc_today
from telematics.errors import PistonError
from tests.simulation.gateway import ScriptedGateway

END = "2022-03-31"


@pytest.fixture
def piston(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """Runs a piston command with a data folder of its own and no server anywhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PISTON_ENVIRONMENT", "test")
    monkeypatch.setenv("PISTON_DATA_DIR", str(tmp_path / "data"))
    for port in ("TIMESCALE", "CLICKHOUSE_HTTP", "GATEWAY"):
        monkeypatch.setenv(f"PISTON_{port}_PORT", "1")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(build(), list(arguments))

    return run


def simulate(piston, *arguments: str) -> Result:
    return piston("simulate", "fleet", "--vehicles", "2", "--days", "2", "--end", END, *arguments)


def failure(result: Result) -> tuple[int, str]:
    """Exit code and sentence that `piston` ends with."""
    assert isinstance(result.exception, PistonError), result.output
    return result.exception.exit_code, str(result.exception)


def test_a_folder_holds_the_history_and_the_summary_counts_it(piston, tmp_path):
    folder = tmp_path / "fleet"
    told = simulate(piston, "--out", str(folder))
    assert told.exit_code == 0, told.output
    assert "2 cars from 2022-03-30 to 2022-03-31" in told.stdout
    assert "2 of 2 cars" in told.stderr
    summary = json.loads(simulate(piston, "--out", str(folder), "--json").stdout)
    rows = pq.read_metadata(folder / "component_day_signals.parquet").num_rows
    assert summary["rows"]["component_day_signals.parquet"] == rows
    assert (summary["first_day"], summary["last_day"]) == ("2022-03-30", END)


def test_without_an_end_the_last_day_is_yesterday_and_kept(piston, tmp_path):
    command = ("simulate", "fleet", "--vehicles", "1", "--days", "1", "--seed", "3", "--json", "--out")
    summary = json.loads(piston(*command, str(tmp_path / "fleet")).stdout)
    assert summary["last_day"] == str(utc_today() - timedelta(days=1))
    kept = json.loads((tmp_path / "data" / "state" / "replay" / "fleet.json").read_text())
    assert kept == {"end_days": {"3": summary["last_day"]}}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--out", "udp://127.0.0.1:5027"], "a FOLDER or tcp://HOST:PORT"),
        (["--out", " "], "a FOLDER or tcp://HOST:PORT"),
        (["--out", "tcp://127.0.0.1"], "tcp://HOST:PORT needs both"),
        (["--out", "tcp://:5027"], "tcp://HOST:PORT needs both"),
        (["--out", "tcp://127.0.0.1:70000"], "tcp://HOST:PORT needs both"),
        (["--out", "fleet", "--fast"], "belong to --out tcp://HOST:PORT"),
        (["--out", "fleet", "--no-register"], "belong to --out tcp://HOST:PORT"),
        (["--out", "tcp://127.0.0.1:1", "--fast", "--speedup", "2"], "exclude each other"),
        (["--out", "fleet", "--end", "2020-12-31"], "lives begin on 2021-01-01"),
        (["--out", "fleet", "--days", "456"], "there are 1 to 455 days"),
    ],
)
def test_a_wrong_choice_is_one_sentence(piston, arguments, says):
    code, sentence = failure(simulate(piston, *arguments))
    assert code == 2
    assert says in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("days_ahead", [0, 1, 400])
def test_a_day_that_is_not_over_is_refused(piston, days_ahead):
    day = utc_today() + timedelta(days=days_ahead)
    code, sentence = failure(simulate(piston, "--out", "fleet", "--end", str(day)))
    assert code == 2
    assert f"--end {day}" in sentence


def test_a_folder_of_somebody_else_stays_as_it_is(piston, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("mine")
    code, sentence = failure(simulate(piston, "--out", "notes"))
    assert code == 4
    assert "holds no simulated history" in sentence
    assert (tmp_path / "notes" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "arguments",
    [["--vehicles", "0"], ["--vehicles", "10001"], ["--days", "0"], ["--seed", "100000"], ["--end", "soon"]],
)
def test_a_number_out_of_its_range_is_a_usage_line(piston, arguments):
    result = simulate(piston, "--out", "fleet", *arguments)
    assert result.exit_code == 2
    assert "Invalid value" in result.stderr


def test_without_the_registry_nothing_is_sent(piston):
    code, _ = failure(simulate(piston, "--out", "tcp://127.0.0.1:1", "--fast"))
    assert code == 3


async def test_a_fleet_is_sent_once_and_its_ledgers_name_the_cars(piston, tmp_path):
    async with ScriptedGateway() as gateway:
        command = ("--fast", "--no-register", "--json", "--out", f"tcp://127.0.0.1:{gateway.port}")
        first = json.loads((await asyncio.to_thread(simulate, piston, *command)).stdout)
        again = json.loads((await asyncio.to_thread(simulate, piston, *command)).stdout)
    assert first["devices"] == again["devices"] == 2
    assert first["records"] == first["records_sent"] == len(gateway.identities()) == again["records"] > 0
    assert (again["records_sent"], again["packets"]) == (0, 0)
    ledgers = sorted(path.name for path in (tmp_path / "data" / "state" / "replay").glob("*.ledger"))
    assert ledgers == ["Fleet_1_00001.ledger", "Fleet_1_00002.ledger"]
