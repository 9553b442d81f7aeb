"""Failures of real runs in an instance in memory, posted to a real HTTP server."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dagster as dg
import pytest
from pydantic import SecretStr

from orchestration.failure_alerts import UNDELIVERED_FOR, alert
from orchestration.failures import masked
from orchestration.faults import told_apart
from telematics.clock import utc_now
from telematics.errors import ConfigurationError
from telematics.settings import Settings, load_settings

KEY = bytes(range(32))
SECRET = SecretStr("whsec_" + base64.b64encode(KEY).decode())
VIN, IMEI = "WHALT000000000001", "353000000000099"


@dataclass
class Receiver:
    """An HTTP server that keeps what it takes."""

    server: ThreadingHTTPServer
    answer: int = 204
    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/alerts?team=data"

    @property
    def events(self) -> list[dict]:
        return [json.loads(body) for _, body in self.taken]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if 200 <= found.answer < 300 and self.path == "/alerts?team=data":
                found.taken.append(({key.lower(): value for key, value in self.headers.items()}, body))
            self.send_response(found.answer)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Receiver(server)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@dg.asset
def sound() -> None:
    """Is made."""


@dg.asset(deps=[sound])
def broken() -> None:
    """Is not made."""
    message = (
        f"vehicle {VIN} of {IMEI} was at 42.27700, -83.73812; password=hush and {SECRET.get_secret_value()}"
    )
    with told_apart():
        raise ConfigurationError(message)


@dg.asset_check(asset=sound)
def complete() -> dg.AssetCheckResult:
    """Does not pass."""
    return dg.AssetCheckResult(passed=False, description=f"3 rows are missing, one of {VIN}")


@dg.asset_check(asset=sound)
def suspicious() -> dg.AssetCheckResult:
    """Does not pass, and nobody minds."""
    return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN)


LOCATION = dg.Definitions(
    assets=[sound, broken], asset_checks=[complete, suspicious], executor=dg.in_process_executor,
    jobs=[dg.define_asset_job("daily_job", selection="*")],
)  # fmt: skip


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as temporary:
        yield temporary


class Sensor:
    """Ticks of the sensor, which keeps its cursor as the daemon does."""

    def __init__(self, instance: dg.DagsterInstance, settings: Settings) -> None:
        self._instance, self.settings, self._cursor = instance, settings, None
        assert "from now on" in self.tick()

    def tick(self, later: timedelta = timedelta(minutes=1)) -> str:
        """The tick's sentence."""
        with dg.build_sensor_context(
            self._instance, cursor=self._cursor, repository_def=LOCATION.get_repository_def()
        ) as context:
            reason = alert(context, self.settings, lambda: utc_now() + later)
            self._cursor = context.cursor
        return reason.skip_message or ""


@pytest.fixture
def sensor(instance: dg.DagsterInstance, receiver: Receiver) -> Sensor:
    settings = Settings(
        _env_file=None, environment="test", alert_webhook_url=receiver.url, alert_webhook_secret=SECRET
    )
    return Sensor(instance, settings)


def _fail(instance: dg.DagsterInstance) -> str:
    """A run that fails, of 2026-03-09."""
    result = LOCATION.resolve_job_def("daily_job").execute_in_process(
        instance=instance, raise_on_error=False,
        tags={"dagster/partition": "2026-03-09", "piston/cause": "complete day"},
    )  # fmt: skip
    assert not result.success
    return result.run_id


def test_a_failed_run_and_a_failed_check_are_told_once(
    instance: dg.DagsterInstance, sensor: Sensor, receiver: Receiver
):
    run_id = _fail(instance)
    assert sensor.tick() == "2 failures posted"
    assert sensor.tick() == "nothing failed since"
    check, run = receiver.events
    assert (check["type"], run["type"]) == ("piston.alert.check_failed", "piston.alert.run_failed")
    assert run["specversion"] == "1.0"
    assert run["source"] == "/piston/dagster"
    assert run["data"] | {"sentence": ""} == {
        "job": "daily_job",
        "run_id": run_id,
        "cause": "complete day",
        "days": {"first": "2026-03-09", "last": "2026-03-09"},
        "steps": [
            {
                "step": "broken",
                "assets": ["broken"],
                "error": "ConfigurationError",
                "sentence": "vehicle … of … was at …, …; password… and …",
            }
        ],
        "sentence": "",
    }
    assert (check["data"]["check"], check["data"]["assets"]) == ("complete", ["sound"])
    assert check["data"]["sentence"] == "3 rows are missing, one of …"
    private = (VIN, IMEI, "42.277", "hush", SECRET.get_secret_value())
    assert not [word for word in private for _, body in receiver.taken if word.encode() in body]


def test_the_signature_is_that_of_standard_webhooks(
    instance: dg.DagsterInstance, sensor: Sensor, receiver: Receiver
):
    _fail(instance)
    sensor.tick()
    for headers, body in receiver.taken:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        assert headers["webhook-id"] == json.loads(body)["id"]
        assert headers["content-type"].startswith("application/cloudevents+json")


@pytest.mark.parametrize("answer", [500, 429, 404, 302])
def test_what_was_not_taken_is_told_later_and_in_order(
    instance: dg.DagsterInstance, sensor: Sensor, receiver: Receiver, answer: int
):
    receiver.answer = answer
    first = _fail(instance)
    assert sensor.tick() == f"the webhook's receiver answered {answer}; trying again"
    second = _fail(instance)
    assert "trying again" in sensor.tick()
    receiver.answer = 204
    assert sensor.tick() == "4 failures posted"
    assert [event["data"]["run_id"] for event in receiver.events] == [first, first, second, second]
    assert len({event["id"] for event in receiver.events}) == 4


def test_a_receiver_that_is_down_gets_the_failure_when_it_is_up(
    instance: dg.DagsterInstance, receiver: Receiver
):
    settings = Settings(
        _env_file=None, environment="test", alert_webhook_url="http://127.0.0.1:9/alerts?team=data"
    )
    sensor = Sensor(instance, settings)
    _fail(instance)
    assert sensor.tick() == "the webhook's receiver does not answer (ConnectionRefusedError); trying again"
    sensor.settings = settings.model_copy(update={"alert_webhook_url": receiver.url})
    assert sensor.tick() == "2 failures posted"
    assert "webhook-signature" not in receiver.taken[0][0], "no secret, no signature"


def test_what_nobody_took_for_a_day_is_given_up_and_holds_nothing_up(
    instance: dg.DagsterInstance, sensor: Sensor, receiver: Receiver
):
    receiver.answer = 500
    _fail(instance)
    assert "trying again" in sensor.tick(UNDELIVERED_FOR - timedelta(minutes=1))
    assert sensor.tick(UNDELIVERED_FOR + timedelta(minutes=1)) == "2 given up"
    receiver.answer = 204
    last = _fail(instance)
    assert sensor.tick() == "2 failures posted"
    assert {event["data"]["run_id"] for event in receiver.events} == {last}


def test_failures_wait_until_they_are_settled(
    instance: dg.DagsterInstance, sensor: Sensor, receiver: Receiver
):
    _fail(instance)
    assert sensor.tick(timedelta()) == "nothing failed since"
    assert sensor.tick() == "2 failures posted"


def test_failures_while_no_address_was_set_are_no_news(instance: dg.DagsterInstance, receiver: Receiver):
    with dg.build_sensor_context(instance, cursor="0") as context:
        _fail(instance)
        assert "is not set" in (alert(context, Settings(_env_file=None)).skip_message or "")
        assert int(context.cursor or 0) > 0


@pytest.mark.parametrize(
    "text", ["12 of 31 days differ; first 2026-01-01, 5 rows", "run 3f9a61c0 took 2.5 s"]
)
def test_what_is_not_private_is_left_as_it_is(text: str):
    assert masked(text, Settings(_env_file=None)) == text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PISTON_ALERT_WEBHOOK_URL", "file:///etc/passwd"),
        ("PISTON_ALERT_WEBHOOK_URL", "https:///alerts"),
        ("PISTON_ALERT_WEBHOOK_SECRET", "whsec_c2hvcnQ="),
        ("PISTON_ALERT_WEBHOOK_SECRET", "no prefix"),
    ],
)
def test_a_wrong_address_or_secret_is_refused_and_not_repeated(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name) as caught:
        load_settings()
    assert value not in str(caught.value)
