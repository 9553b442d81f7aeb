"""`piston partner`, `piston consent` and `piston api`, as an operator types them."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from cli.main import main
from telematics.settings import Settings
from tests.serving.planting import Vehicle, at, environment, plant_live, plant_vehicle, timescale

pytestmark = pytest.mark.integration


class Piston:
    """Runs the command in this process and keeps what it printed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *arguments: str) -> int:
        self._monkeypatch.setattr(sys, "argv", ["piston", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        self.out, self.err = self._capsys.readouterr()
        return int(ended.value.code or 0)

    def json(self, *arguments: str) -> Any:
        assert self(*arguments, "--json") == 0, self.err
        return json.loads(self.out)


@pytest.fixture
def piston(stack: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Piston:
    for name, value in environment(stack).items():
        monkeypatch.setenv(name, value)
    return Piston(monkeypatch, capsys)


@pytest.fixture
def vehicle(stack: Settings) -> Vehicle:
    return plant_vehicle(stack)


@pytest.fixture
def new_name() -> Callable[[], str]:
    return lambda: f"Partner {uuid.uuid4()}"


@pytest.fixture
def client_id(piston: Piston, new_name: Callable[[], str]) -> str:
    made: str = piston.json("partner", "create", new_name(), "--kind", "dealer")["client_id"]
    return made


def audit(settings: Settings, subject: str) -> list[str]:
    with timescale(settings) as connection:
        rows = connection.execute(
            "select action from audit_events where subject = %s or detail ->> 'client_id' = %s"
            " order by audit_event_id",
            [subject, subject],
        ).fetchall()
    return [row[0] for row in rows]


def test_a_partner_is_created_with_its_kinds_scopes_and_its_secret_shown_once(
    piston: Piston, stack: Settings, new_name: Callable[[], str]
) -> None:
    made = piston.json("partner", "create", new_name(), "--kind", "history", "--tier", "premium")
    assert (made["kind"], made["tier"]) == ("history", "premium")
    assert "score:read" not in made["scopes"]
    with timescale(stack) as connection:
        stored = connection.execute(
            "select row_to_json(partners)::text from partners where client_id = %s", [made["client_id"]]
        ).fetchone()
    assert stored is not None
    assert made["client_secret"] not in stored[0]
    assert "$argon2id$" in stored[0]
    listed = next(each for each in piston.json("partner", "list") if each["client_id"] == made["client_id"])
    assert "client_secret" not in listed
    assert audit(stack, f"partner:{made['client_id']}") == ["partner.created"]


def test_the_score_is_given_to_those_named(piston: Piston, new_name: Callable[[], str]) -> None:
    scopes = ["--scope", "score:read", "--scope", "telemetry:read"]
    made = piston.json("partner", "create", new_name(), "--kind", "insurer", *scopes)
    assert made["scopes"] == ["score:read", "telemetry:read"]


@pytest.mark.parametrize("kind", ["history", "dealer", "insurer"])
def test_predictions_are_given_by_default_and_so_is_consent_to_them(
    kind: str, piston: Piston, vehicle: Vehicle, new_name: Callable[[], str]
) -> None:
    made = piston.json("partner", "create", new_name(), "--kind", kind)
    assert "maintenance:read" in made["scopes"]
    consent = ("consent", "grant", made["client_id"], "--vin", vehicle.vin, "--purpose", "valuation")
    assert "maintenance:read" in piston.json(*consent)[0]["scopes"]


def test_a_partner_of_before_is_widened_once_and_its_consent_by_name(
    piston: Piston, stack: Settings, vehicle: Vehicle, new_name: Callable[[], str]
) -> None:
    made = piston.json("partner", "create", new_name(), "--scope", "telemetry:read")
    client_id = made["client_id"]
    with timescale(stack) as connection:  # as a later release may have left it
        connection.execute(
            "update partners set scopes = scopes || array['tomorrow:read'] where client_id = %s", [client_id]
        )
    consent = ("consent", "grant", client_id, "--vin", vehicle.vin, "--purpose", "valuation")
    before = piston.json(*consent)[0]
    assert before["scopes"] == ["telemetry:read"]
    assert piston(*consent, "--scope", "maintenance:read") == 4
    assert "does not hold maintenance:read" in piston.err
    for _ in range(2):
        widened = piston.json("partner", "add-scope", client_id, "--scope", "maintenance:read")
        assert widened["scopes"] == ["maintenance:read", "telemetry:read"]
    assert audit(stack, f"partner:{client_id}") == ["partner.created", "partner.scopes_added"]
    with timescale(stack) as connection:
        stored = connection.execute(
            "select scopes from partners where client_id = %s", [client_id]
        ).fetchone()
    assert stored == (["maintenance:read", "telemetry:read", "tomorrow:read"],)
    record = piston.json("consent", "list", "--client", client_id)
    assert [each["scopes"] for each in record] == [["telemetry:read"]]
    assert piston.json(*consent)[0]["scopes"] == ["maintenance:read", "telemetry:read"]


def test_a_scope_for_nobody_is_a_sentence(piston: Piston) -> None:
    assert piston("partner", "add-scope", "pc_unknown", "--scope", "maintenance:read") == 5
    assert "partner list" in piston.err
    assert piston("partner", "add-scope", "pc_unknown", "--scope", "everything") == 2
    assert piston("partner", "add-scope", "pc_unknown") == 2


def test_a_name_is_given_once(piston: Piston, new_name: Callable[[], str]) -> None:
    name = new_name()
    assert piston("partner", "create", name) == 0
    assert piston("partner", "create", name) == 4
    assert "already" in piston.err
    assert "Traceback" not in piston.err


def test_a_blank_name_is_a_sentence(piston: Piston) -> None:
    assert piston("partner", "create", " ") == 2
    assert "name" in piston.err


def test_the_same_consent_again_changes_nothing(
    piston: Piston, stack: Settings, vehicle: Vehicle, client_id: str
) -> None:
    consent = ("consent", "grant", client_id, "--vin", vehicle.vin, "--purpose", "valuation")
    first, again = piston.json(*consent)[0], piston.json(*consent)[0]
    assert (first["is_new"], again["is_new"]) == (True, False)
    assert first["grant_id"] == again["grant_id"]
    assert audit(stack, client_id) == ["consent.granted"]


def test_another_period_closes_the_old_consent_and_keeps_it_on_record(
    piston: Piston, vehicle: Vehicle, client_id: str
) -> None:
    consent = ("consent", "grant", client_id, "--vin", vehicle.vin, "--purpose", "valuation")
    piston.json(*consent)
    changed = piston.json(*consent, "--until", "2099-01-01", "--scope", "odometer:read")[0]
    assert (changed["expires_at"], changed["scopes"]) == ("2099-01-01T00:00:00.000Z", ["odometer:read"])
    record = piston.json("consent", "list", "--client", client_id)
    assert [each["revoked_at"] is None for each in record] == [False, True]


def test_revoking_ends_consent_once(
    piston: Piston, stack: Settings, vehicle: Vehicle, client_id: str
) -> None:
    for purpose in ("valuation", "claims"):
        piston("consent", "grant", client_id, "--vin", vehicle.vin, "--purpose", purpose)
    revoke = ("consent", "revoke", client_id, "--vin", vehicle.vin)
    assert [each["purpose"] for each in piston.json(*revoke, "--purpose", "claims")] == ["claims"]
    assert [each["purpose"] for each in piston.json(*revoke)] == ["valuation"]
    assert piston.json(*revoke) == []
    assert audit(stack, client_id).count("consent.revoked") == 2


def test_consent_for_several_vehicles_is_all_or_none(
    piston: Piston, vehicle: Vehicle, client_id: str
) -> None:
    vins = ("--vin", vehicle.vin, "--vin", "SRVTEST8888888888")
    assert piston("consent", "grant", client_id, *vins, "--purpose", "valuation") == 5
    assert "SRVTEST8888888888" in piston.err
    assert piston.json("consent", "list", "--client", client_id) == []


@pytest.mark.parametrize(
    ("changes", "code", "word"),
    [
        ({"vin": "SRVTEST"}, 2, "17 characters"),
        ({"vin": "SRVTEST7777777777"}, 5, "registered"),
        ({"client": "pc_unknown"}, 5, "partner"),
        ({"purpose": " "}, 2, "purpose"),
        ({"until": "2001-01-01"}, 2, "future"),
        ({"until": "soon"}, 2, "--until"),
        ({"scope": "everything"}, 2, "scope"),
        ({"scope": "location:coarse"}, 4, "does not hold"),
    ],
)
def test_a_wrong_consent_is_a_sentence_and_its_exit_code(
    changes: dict[str, str], code: int, word: str, piston: Piston, vehicle: Vehicle, client_id: str
) -> None:
    values = {"client": client_id, "vin": vehicle.vin, "purpose": "valuation", **changes}
    options = [part for name, value in values.items() if name != "client" for part in (f"--{name}", value)]
    assert piston("consent", "grant", values["client"], *options) == code
    assert word in piston.err
    assert "Traceback" not in piston.err


def test_a_disabled_partner_stays_on_record(piston: Piston, stack: Settings, client_id: str) -> None:
    assert piston("partner", "disable", client_id) == 0
    assert piston("partner", "disable", client_id) == 0
    listed = next(each for each in piston.json("partner", "list") if each["client_id"] == client_id)
    assert listed["disabled_at"] is not None
    assert audit(stack, f"partner:{client_id}") == ["partner.created", "partner.disabled"]
    assert piston("partner", "disable", "pc_unknown") == 5


def test_without_a_database_it_is_a_sentence(piston: Piston, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PISTON_TIMESCALE_PORT", "1")
    assert piston("partner", "list") == 3
    assert "piston up" in piston.err


def wait_until_alive(process: subprocess.Popen[bytes], base: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        try:
            httpx.get(f"{base}/healthz", timeout=1)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the API did not answer within 30 s")


def test_the_api_answers_over_http_and_logs_no_vehicle(
    piston: Piston, stack: Settings, vehicle: Vehicle, new_name: Callable[[], str]
) -> None:
    plant_live(stack, vehicle, at(vehicle.day, 7, 30), seen={}, battery_voltage=12.4)
    made = piston.json("partner", "create", new_name())
    piston("consent", "grant", made["client_id"], "--vin", vehicle.vin, "--purpose", "valuation")
    base = f"http://127.0.0.1:{stack.api_port}"
    command = [sys.executable, "-c", "from cli.main import main; main()", "api"]
    process = subprocess.Popen(
        command, env=os.environ | environment(stack), stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        wait_until_alive(process, base)
        token = httpx.post(
            f"{base}/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=(made["client_id"], made["client_secret"]),
        ).json()["access_token"]
        answer = httpx.get(
            f"{base}/api/v1/vehicles/{vehicle.vin}/live-status", headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.json()["vehicle_health"]["battery_voltage"] == 12.4
        second = subprocess.run(command, env=os.environ | environment(stack), capture_output=True, timeout=60)
        assert second.returncode == 3
        assert b"PISTON_API_PORT" in second.stderr
    finally:
        process.send_signal(signal.SIGTERM)
        out, log = process.communicate(timeout=20)
    lines = (out + log).decode()
    assert '"route": "/api/v1/vehicles/{vin}/live-status"' in lines
    for secret in (vehicle.vin, token, made["client_secret"]):
        assert secret not in lines
