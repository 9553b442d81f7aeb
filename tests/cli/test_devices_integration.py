"""`piston device` on the real database."""

import itertools
import json
import random

import pytest
from typer.testing import CliRunner, Result

from cli.main import build
from telematics.errors import PistonError
from telematics.settings import Settings

pytestmark = pytest.mark.integration

VIN, WRONG_DIGIT = "1HGCM82633A004352", "1HGCM82633A123456"
_numbers = itertools.count(random.randrange(10**9, 9 * 10**9))


@pytest.fixture
def imei() -> str:
    return f"35{next(_numbers):013d}"


@pytest.fixture
def piston(stack: Settings, monkeypatch: pytest.MonkeyPatch):
    """Runs a `piston device` command against the session's stack."""
    monkeypatch.setenv("PISTON_ENVIRONMENT", "test")
    monkeypatch.setenv("PISTON_DATA_DIR", str(stack.data))
    monkeypatch.setenv("PISTON_TIMESCALE_PORT", str(stack.timescale_port))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(build(), ["device", *arguments])

    return run


def failure(result: Result) -> tuple[int, str]:
    """Exit code and sentence that `piston` ends with."""
    assert isinstance(result.exception, PistonError)
    return result.exception.exit_code, str(result.exception)


def test_an_added_device_is_listed(piston, imei):
    added = piston("add", imei, "--vin", VIN.lower(), "--family", "obd", "--year", "2003")
    assert (added.exit_code, added.stderr) == (0, "")
    listed = json.loads(piston("list", "--json").stdout)
    assert [item for item in listed if item["imei"] == imei] == [
        {
            "imei": imei, "vin": VIN, "family": "OBD", "origin": "live", "status": "active", "since": None,
            "model": None, "firmware": None,
        }
    ]  # fmt: skip
    assert imei in piston("list").stdout


def test_a_wrong_check_digit_warns_and_the_same_again_changes_nothing(piston, imei):
    warned = piston("add", imei, "--vin", WRONG_DIGIT)
    assert warned.exit_code == 0
    assert "check digit is 3" in warned.stderr
    assert "unchanged" in piston("add", imei, "--vin", WRONG_DIGIT).stdout


def test_a_device_that_moves_is_in_the_other_vehicle_from_then_on(piston, imei):
    piston("add", imei, "--vin", VIN)
    code, sentence = failure(piston("add", imei, "--vin", WRONG_DIGIT, "--since", "2026-01-01T00:00:00Z"))
    assert code == 4
    assert "piston device move" in sentence
    moved = piston("move", imei, "--vin", WRONG_DIGIT, "--at", "2026-01-01T01:00:00+01:00", "--no-wait")
    assert moved.exit_code == 0
    assert f"left vehicle {VIN} and sits in vehicle {WRONG_DIGIT} since 2026-01-01T00:00" in moved.stdout
    listed = json.loads(piston("list", "--json").stdout)
    (mine,) = [item for item in listed if item["imei"] == imei]
    assert (mine["vin"], mine["since"]) == (WRONG_DIGIT, "2026-01-01T00:00:00.000Z")
    assert json.loads(piston("history", imei, "--json").stdout) == [
        {
            "vin": VIN, "origin": "live", "since": None, "until": "2026-01-01T00:00:00.000Z",
            "odometer_source": None,
        },
        {
            "vin": WRONG_DIGIT, "origin": "live", "since": "2026-01-01T00:00:00.000Z", "until": None,
            "odometer_source": None,
        },
    ]  # fmt: skip
    assert f"{WRONG_DIGIT}  2026-01-01T00:00:00.000Z to now" in piston("history", imei).stdout


def test_a_move_backwards_or_of_nobody_is_one_sentence(piston, imei):
    piston("add", imei, "--vin", VIN, "--since", "2026-01-01T00:00:00Z")
    move = ("move", imei, "--vin", WRONG_DIGIT, "--no-wait", "--at")
    assert failure(piston(*move, "2025-12-31T00:00:00Z"))[0] == 4
    assert failure(piston(*move, "2999-01-01T00:00:00Z"))[0] == 4
    assert failure(piston(*move, "2026-01-02"))[0] == 2
    assert failure(piston("move", "356307042441099", "--vin", VIN, "--no-wait"))[0] == 5
    assert failure(piston("history", "356307042441099"))[0] == 5


def test_a_device_may_leave_its_vehicle_and_enter_another_later(piston, imei):
    piston("add", imei, "--vin", VIN)
    assert failure(piston("remove", imei, "--at", "2999-01-01T00:00:00Z", "--no-wait"))[0] == 4
    removed = piston("remove", imei, "--at", "2026-01-01T00:00:00Z")
    assert removed.exit_code == 0
    assert f"left vehicle {VIN}; it is in none since 2026-01-01T00:00:00.000Z" in removed.stdout
    assert "waiting until every sink knows it" in removed.stdout
    assert failure(piston("remove", imei, "--no-wait"))[0] == 5
    moved = piston("add", imei, "--vin", WRONG_DIGIT, "--since", "2026-01-01T01:00:00+01:00", "--no-wait")
    assert moved.exit_code == 0


def test_a_retired_device_is_listed_as_such(piston, imei):
    piston("add", imei, "--vin", VIN)
    retired = piston("retire", imei, "--at", "2026-01-01T00:00:00Z", "--no-wait")
    assert retired.exit_code == 0
    assert f"it left vehicle {VIN} at 2026-01-01T00:00:00.000Z" in retired.stdout
    (mine,) = [item for item in json.loads(piston("list", "--json").stdout) if item["imei"] == imei]
    assert (mine["status"], mine["vin"]) == ("retired", None)
    assert failure(piston("retire", imei))[0] == 4
    assert failure(piston("retire", "356307042441099"))[0] == 5


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["35630704244101", "--vin", VIN], "15 digits"),
        (["356307042441013", "--vin", "NOT-A-VIN"], "17 characters"),
        (["356307042441013", "--vin", VIN, "--since", "yesterday"], "RFC 3339"),
        (["356307042441013", "--vin", VIN, "--since", "2026-01-01T00:00:00"], "zone"),
        (["356307042441013", "--vin", VIN, "--origin", "recorded"], "begins with 001"),
        (["001000000000016", "--vin", VIN], "recorded and simulated"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_exit_code_2(piston, arguments, says):
    code, sentence = failure(piston("add", *arguments))
    assert code == 2
    assert says in sentence


def test_a_family_that_does_not_exist_is_refused_with_those_that_do(piston):
    result = piston("add", "356307042441013", "--vin", VIN, "--family", "FMB")
    assert result.exit_code == 2
    assert "6xx" in result.stderr
