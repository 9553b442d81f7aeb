"""`piston device key` on the real database."""

import json

import psycopg
import pytest
from typer.testing import CliRunner, Result

from cli.main import build
from ingest.registry.models import Family, NewDevice
from ingest.registry.repository import add_device, connect
from serving.device_keys.secrets import hash_secret, parse_key
from telematics.errors import PistonError
from telematics.names import Origin
from telematics.settings import Settings
from tests.ingest.making import fresh_imei, fresh_vin

pytestmark = pytest.mark.integration


@pytest.fixture
def piston(stack: Settings, monkeypatch: pytest.MonkeyPatch):
    """Runs a `piston device key` command against the session's stack."""
    monkeypatch.setenv("PISTON_ENVIRONMENT", "test")
    monkeypatch.setenv("PISTON_DATA_DIR", str(stack.data))
    monkeypatch.setenv("PISTON_TIMESCALE_PORT", str(stack.timescale_port))

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(build(), ["device", "key", *arguments])

    return run


@pytest.fixture
def imei(stack: Settings) -> str:
    made = fresh_imei()
    with connect(stack, "test") as connection:
        add_device(connection, NewDevice(made, fresh_vin(), Family.F, Origin.RECORDED), "test")
    return made


def failure(result: Result) -> tuple[int, str]:
    assert isinstance(result.exception, PistonError)
    return result.exception.exit_code, str(result.exception)


def test_a_key_is_shown_once_and_kept_as_a_hash(piston, imei, stack: Settings):
    made = json.loads(piston("add", imei, "--json").stdout)
    key = parse_key(made["key"])
    assert key is not None
    assert (made["imei"], made["key_id"], made["last_used_at"]) == (imei, key.key_id, None)
    with psycopg.connect(stack.timescale_dsn()) as connection:
        row = connection.execute(
            "select secret_hash, key_id from device_keys where imei = %s", [imei]
        ).fetchone()
        events = connection.execute(
            "select action, detail::text from audit_events where subject = %s order by 1",
            [f"device:{imei}"],
        ).fetchall()
    assert row == (hash_secret(key.secret), key.key_id)
    assert ("device_key.added", json.dumps({"key_id": key.key_id})) in events
    listed = piston("list", imei).stdout
    assert key.key_id in listed
    assert key.secret not in listed


def test_two_keys_may_live_so_that_one_can_be_rotated(piston, imei):
    first = json.loads(piston("add", imei, "--json").stdout)["key_id"]
    assert piston("add", imei).exit_code == 0
    code, sentence = failure(piston("add", imei))
    assert (code, "revoke one" in sentence) == (4, True)
    revoked = [json.loads(piston("revoke", first, "--json").stdout) for _ in range(2)]
    assert revoked[0] == revoked[1], "again the same: nothing happens"
    assert revoked[0]["revoked_at"]
    assert piston("add", imei).exit_code == 0
    states = [key["revoked_at"] is None for key in json.loads(piston("list", imei, "--json").stdout)]
    assert states == [False, True, True]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["add", "123"], 2, "15 digits"),
        (["add", "999999999999999"], 5, "piston device add"),
        (["revoke", "pdk_x"], 2, "piston device key list"),
        (["revoke", "pdk_" + "a" * 20], 5, "piston device key list"),
    ],
)
def test_what_cannot_be_is_one_sentence(piston, arguments, code, says):
    exit_code, sentence = failure(piston(*arguments))
    assert (exit_code, says in sentence) == (code, True)


def test_every_command_has_help():
    for arguments in ([], ["add"], ["list"], ["revoke"]):
        assert CliRunner().invoke(build(), ["device", "key", *arguments, "--help"]).exit_code == 0
