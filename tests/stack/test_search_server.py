"""Elasticsearch beside the session's other servers."""

import base64
import json
import os
import signal
import time
import urllib.error
import urllib.request
import uuid
from typing import Any

import pytest

from stack import control
from stack.processes import family, is_alive, wait_gone
from stack.report import ServerStatus
from telematics.settings import Settings

pytestmark = pytest.mark.integration

RECOVERY_S = 240.0


def found(settings: Settings) -> ServerStatus:
    return next(one for one in control.status(settings) if one.name == "elasticsearch")


def ask(settings: Settings, method: str, path: str, body: object = None, *, password: str | None = "") -> Any:
    """Answer of the server; `password` None: without credentials, empty: with the right ones."""
    headers = {"Content-Type": "application/json"}
    if password is not None:
        secret = password or settings.search_password.get_secret_value()
        pair = base64.b64encode(f"{settings.search_user}:{secret}".encode()).decode()
        headers["Authorization"] = f"Basic {pair}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"{settings.search_address}{path}", data=data, headers=headers, method=method
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def refusal(settings: Settings, method: str, path: str, **how: Any) -> int:
    with pytest.raises(urllib.error.HTTPError) as error:
        ask(settings, method, path, **how)
    with error.value:
        return error.value.code


def make_index(settings: Settings) -> str:
    index = f"vehicles-{uuid.uuid4().hex}"
    ask(settings, "PUT", f"/{index}")
    return index


def recovered_from(settings: Settings, killed: int) -> bool:
    end = time.monotonic() + RECOVERY_S
    while time.monotonic() < end:
        one = found(settings)
        if one.healthy and one.pid not in (None, killed):
            return True
        time.sleep(0.5)
    return False


def test_nobody_comes_in_without_the_password(search_stack):
    assert refusal(search_stack, "GET", "/_cluster/health", password=None) == 401
    assert refusal(search_stack, "GET", "/_cluster/health", password="wrong") == 401


def test_our_user_reaches_the_vehicles_and_nothing_else(search_stack):
    for method, path in (
        ("PUT", "/secrets"),
        ("GET", "/.security/_search"),
        ("POST", "/_cluster/reroute"),
        ("GET", "/_security/user"),
    ):
        assert refusal(search_stack, method, path, body={} if method != "GET" else None) == 403


def test_a_document_without_an_index_is_refused_and_makes_none(search_stack):
    path = f"/vehicles-{uuid.uuid4().hex}/_doc/1"
    assert refusal(search_stack, "PUT", path, body={"vin": "x"}) in (403, 404)


def test_acknowledged_documents_survive_kill_9_of_the_launcher_and_of_the_server(search_stack):
    index = make_index(search_stack)
    launcher = found(search_stack).pid
    _, server, *_ = family(launcher)
    ask(search_stack, "PUT", f"/{index}/_doc/1", {"vin": "MARK1"})
    os.kill(launcher, signal.SIGKILL)
    assert wait_gone(server, 30.0)  # it watches its launcher, so no second one can meet it
    assert recovered_from(search_stack, launcher)
    second = found(search_stack).pid
    _, server, *_ = family(second)
    ask(search_stack, "PUT", f"/{index}/_doc/2", {"vin": "MARK2"})
    os.kill(server, signal.SIGKILL)
    assert recovered_from(search_stack, second)
    assert not is_alive(second)
    kept = [ask(search_stack, "GET", f"/{index}/_doc/{number}")["_source"]["vin"] for number in (1, 2)]
    assert kept == ["MARK1", "MARK2"]
    ask(search_stack, "DELETE", f"/{index}")
