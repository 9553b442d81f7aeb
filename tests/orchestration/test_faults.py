import socket

import dagster as dg
import pytest

from orchestration.faults import answers, told_apart
from telematics.errors import ConfigurationError, UnavailableError


def test_an_unreachable_server_is_tried_again():
    error = UnavailableError("ClickHouse does not answer")
    with pytest.raises(dg.RetryRequested) as caught, told_apart():
        raise error
    assert caught.value.max_retries > 0
    assert caught.value.__cause__ is error


def test_a_permanent_error_is_not_tried_again_and_keeps_its_sentence():
    error = ConfigurationError("the database's time zone is not UTC")
    with pytest.raises(dg.Failure) as caught, told_apart():
        raise error
    assert caught.value.allow_retries is False
    assert caught.value.description == "the database's time zone is not UTC"


def test_a_bug_is_neither():
    with pytest.raises(ZeroDivisionError), told_apart():
        _ = 1 / 0


def test_answers_tells_a_listener_from_a_closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert answers("127.0.0.1", port)
    assert not answers("127.0.0.1", port, timeout_s=0.5)
