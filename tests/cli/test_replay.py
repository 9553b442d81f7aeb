"""`piston replay` without servers: wrong command lines, and a device port of the test's own."""

import asyncio

import pytest
from typer.testing import CliRunner, Result

from cli.main import build
from telematics.errors import PistonError
from tests.simulation.gateway import ScriptedGateway
from tests.simulation.replay.recordings import make_trip, write_folder


@pytest.fixture
def piston(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """Runs a `piston replay` command with a data folder of its own and no server anywhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PISTON_ENVIRONMENT", "test")
    monkeypatch.setenv("PISTON_DATA_DIR", str(tmp_path / "data"))
    for port in ("TIMESCALE", "CLICKHOUSE_HTTP", "GATEWAY"):
        monkeypatch.setenv(f"PISTON_{port}_PORT", "1")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(build(), ["replay", *arguments])

    return run


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "ved"
    write_folder(folder, [make_trip(1.0, [{"load": 300}, {"time": 500}], vehicle=7)])
    write_folder(folder, [make_trip(2.0, [{}], vehicle=8)], vehicle=8)
    return str(folder)


def failure(result: Result) -> tuple[int, str]:
    """Exit code and sentence that `piston` ends with."""
    assert isinstance(result.exception, PistonError), result.output
    return result.exception.exit_code, str(result.exception)


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--vehicles", "seven"], 2, "--vehicles seven: numbers with commas"),
        (["--vehicles", "7,,8"], 2, "numbers with commas"),
        (["--vehicles", "7,99"], 5, "no recording of vehicle 99; there are 7, 8"),
        (["--fast", "--speedup", "2"], 2, "exclude each other"),
    ],
)
def test_a_wrong_choice_is_one_sentence(piston, recordings, options, code, says):
    found, sentence = failure(piston("ved", recordings, *options))
    assert found == code
    assert says in sentence
    assert "\n" not in sentence


def test_a_missing_folder_names_the_way_without_recordings(piston, tmp_path):
    code, sentence = failure(piston("ved", str(tmp_path / "absent")))
    assert code == 5
    assert "piston simulate fleet" in sentence


def test_a_number_out_of_its_range_is_a_usage_line(piston):
    result = piston("ved", "x", "--speedup", "0")
    assert result.exit_code == 2
    assert "Invalid value" in result.stderr


def test_verify_without_ledgers_says_that_nothing_was_replayed(piston):
    code, sentence = failure(piston("verify"))
    assert code == 5
    assert "nothing was replayed" in sentence


def test_without_the_registry_nothing_is_sent(piston, recordings):
    code, _ = failure(piston("ved", recordings, "--fast"))
    assert code == 3


async def test_recordings_are_sent_once_and_the_summary_says_so(piston, recordings):
    async with ScriptedGateway() as gateway:
        command = ("ved", recordings, "--fast", "--no-register", "--port", str(gateway.port))
        first = await asyncio.to_thread(piston, *command)
        again = await asyncio.to_thread(piston, *command)
    assert first.exit_code == again.exit_code == 0, first.output
    assert "3 records of 2 devices acknowledged" in first.stdout
    assert "1 × Absolute Load[%] left out" in first.stdout
    assert "nothing to send: all 3 records of 2 devices are acknowledged" in again.stdout
    assert len(gateway.identities()) == 3


async def test_a_moved_replay_cannot_go_on_unmoved(piston, recordings):
    async with ScriptedGateway() as gateway:
        port = str(gateway.port)
        await asyncio.to_thread(
            piston, "ved", recordings, "--fast", "--end-now", "--no-register", "--port", port
        )
        unmoved = await asyncio.to_thread(
            piston, "ved", recordings, "--fast", "--no-register", "--port", port
        )
    code, sentence = failure(unmoved)
    assert code == 4
    assert "another offset_days" in sentence
    assert len(gateway.identities()) == 3
