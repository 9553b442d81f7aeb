import inspect
import logging
import socket
from types import SimpleNamespace

import dagster as dg
import pytest

from orchestration.archive import ARCHIVE_CHECKS, archive_retention
from orchestration.checks import CHECKS
from orchestration.definitions import defs
from orchestration.faults import answers, told_apart
from orchestration.history import copied_reference
from orchestration.loads import analytics_telemetry
from orchestration.mart_checks import MART_CHECKS, on_time
from orchestration.publishing import published_scores
from orchestration.retention import telemetry_retention
from orchestration.scoring_assets import SCORING_CHECKS, scored_fleet
from orchestration.search import published_search
from telematics.errors import ConfigurationError, UnavailableError
from telematics.settings import Settings

ASKING_SERVERS = [
    analytics_telemetry, telemetry_retention, archive_retention, copied_reference, scored_fleet,
    published_scores, published_search, *CHECKS, *ARCHIVE_CHECKS, *SCORING_CHECKS,
    *(check for check in MART_CHECKS if check is not on_time),
]  # fmt: skip
CLOSED = 9
"""A port that nobody listens on (discard, RFC 863)."""


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


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A stack of which nothing runs."""
    ports = ("timescale_port", "clickhouse_http_port", "clickhouse_tcp_port", "valkey_port", "search_port")
    return Settings(
        _env_file=None, environment="test", data_dir=tmp_path_factory.mktemp("data"),
        **dict.fromkeys(ports, CLOSED),
    )  # fmt: skip


@pytest.mark.parametrize("definition", ASKING_SERVERS, ids=lambda definition: definition.node_def.name)
def test_whatever_asks_a_server_that_is_away_is_tried_again(definition, nowhere: Settings):
    function = definition.node_def.compute_fn.decorated_fn
    context = SimpleNamespace(
        run=SimpleNamespace(tags={"dagster/partition": "2026-03-09"}, run_id="none"),
        log=logging.getLogger(__name__),
    )
    known = {"context": context, "settings": nowhere}
    arguments = {name: known[name] for name in inspect.signature(function).parameters}
    with pytest.raises(dg.RetryRequested):
        list(function(**arguments))


def test_whatever_writes_to_a_store_waits_for_its_turn():
    """A pool for each, with the one slot that the instance gives to pools by default."""
    graph = defs.resolve_asset_graph()
    free = {
        key.to_user_string()
        for key in graph.get_all_asset_keys()
        if graph.get(key).is_executable and not graph.get(key).pools
    }
    assert free == {"models/battery_evaluation"}, "it reads a file"
