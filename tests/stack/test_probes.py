import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stack.account import own_account
from stack.errors import ProbeError
from stack.layout import Layout
from stack.report import ServerStatus, check_service, gather
from stack.servers.clickhouse import ClickHouse
from stack.servers.elasticsearch import Elasticsearch
from stack.servers.kafka import Kafka, describe_cluster, parse_cluster_id
from stack.servers.server import Ground, PortUse
from stack.servers.timescale import Timescale
from stack.servers.valkey import Valkey, encode_command
from stack.services import Service
from stack.supervision import SERVERS, SERVICES, ProcessState
from telematics.settings import Settings

SERVERS_AND_PORTS = [
    (Kafka, "kafka_port"),
    (Timescale, "timescale_port"),
    (ClickHouse, "clickhouse_http_port"),
    (Valkey, "valkey_port"),
    (Elasticsearch, "search_port"),
]


@contextmanager
def somebody(answer: bytes) -> Iterator[int]:
    """A server on a free port that answers everybody the same and hangs up.

    It reads on until the peer is done: closing with bytes unread resets the connection, and the peer would
    lose the answer.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(5.0)
                    try:
                        connection.recv(1024)
                        connection.sendall(answer)
                        connection.shutdown(socket.SHUT_WR)
                        while connection.recv(1024):
                            pass
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5.0)


def make_server(kind, tmp_path, **ports):
    settings = Settings(_env_file=None, data_dir=tmp_path, **ports)
    return kind(Ground(settings, Layout.of(settings), own_account(), "0123456789abcdef"))


@pytest.mark.parametrize(("kind", "port"), SERVERS_AND_PORTS)
def test_nobody_there_is_a_probe_error(kind, port, tmp_path):
    with somebody(b"") as closed:
        pass
    with pytest.raises(ProbeError, match=str(closed)):
        make_server(kind, tmp_path, **{port: closed}).check()


@pytest.mark.parametrize(("kind", "port"), SERVERS_AND_PORTS)
@pytest.mark.parametrize(
    "answer",
    [b"", b"\0" * 64, b"\xff" * 64, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nOk."],
    ids=["silence", "zeros", "ones", "http"],
)
def test_a_stranger_on_the_port_is_a_probe_error(kind, port, answer, tmp_path):
    with somebody(answer) as taken, pytest.raises(ProbeError):
        make_server(kind, tmp_path, **{port: taken}).check()


def test_another_valkey_is_not_ours(tmp_path):
    answer = b"+OK\r\n+PONG\r\n$30\r\nconfig_file:/etc/valkey.conf\r\n\r\n+OK\r\n"
    with somebody(answer) as taken, pytest.raises(ProbeError, match="PISTON_VALKEY_PORT"):
        make_server(Valkey, tmp_path, valkey_port=taken).check()


def http_answer(status: str, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            http_answer("200 OK", b'{"cluster_name": "docker-cluster", "status": "green"}'),
            "PISTON_SEARCH_PORT",
        ),
        (http_answer("401 Unauthorized", b'{"status": 401}'), "PISTON_SEARCH_PASSWORD"),
        (http_answer("200 OK", b'{"cluster_name": "piston-0123456789abcdef", "status": "red"}'), "reading"),
        (http_answer("200 OK", b"[]"), "another server"),
    ],
    ids=["stranger", "password", "red", "no object"],
)
def test_elasticsearch_must_be_ours_open_and_ready(answer, said, tmp_path):
    with somebody(answer) as taken, pytest.raises(ProbeError, match=said):
        make_server(Elasticsearch, tmp_path, search_port=taken).check()


def test_the_cluster_id_is_read_from_describe_cluster():
    # KIP-700, version 0: correlation id 2, no tags, throttle 0, no error, null message, "abc", controller 1
    answer = bytes.fromhex("00000002 00 00000000 0000 00 04 616263 00000001")
    assert parse_cluster_id(answer) == "abc"
    with_message = bytes.fromhex("00000002 00 00000000 0000 03 6f6b 04 616263 00000001")
    assert parse_cluster_id(with_message) == "abc"


def test_an_error_of_describe_cluster_is_a_probe_error():
    with pytest.raises(ProbeError, match="error 31"):
        parse_cluster_id(bytes.fromhex("00000002 00 00000000 001f 00 01"))


def test_a_cut_answer_of_kafka_is_a_probe_error():
    with somebody(b"\0\0\0\x06\0\0\0\x01\0\0") as taken, pytest.raises(ProbeError):
        describe_cluster("127.0.0.1", taken)


def test_commands_are_bulk_strings():
    assert encode_command("AUTH", "ö") == b"*2\r\n$4\r\nAUTH\r\n$2\r\n\xc3\xb6\r\n"


def make_status(**overrides) -> ServerStatus:
    values = {
        "name": "kafka", "group": SERVERS, "state": "RUNNING", "pid": 1, "port": 1, "uptime_s": 1.0,
        "memory_bytes": 1, "healthy": True, "detail": "",
    }  # fmt: skip
    return ServerStatus(**(values | overrides))


@pytest.mark.parametrize(
    ("overrides", "is_wrong"),
    [
        ({}, False),
        ({"healthy": False}, True),
        ({"state": "STOPPED", "pid": None, "healthy": False}, True),
        ({"group": SERVICES, "state": "STOPPED", "pid": None, "healthy": None}, False),
        ({"group": SERVICES, "state": "RUNNING", "healthy": None}, False),
        ({"group": SERVICES, "state": "FATAL", "pid": None, "healthy": None}, True),
        ({"group": SERVICES, "state": "BACKOFF", "pid": None, "healthy": None}, True),
        ({"group": SERVICES, "state": "RUNNING", "healthy": False}, True),
    ],
)
def test_wrong_is_what_should_run_and_does_not(overrides, is_wrong):
    assert make_status(**overrides).is_wrong is is_wrong


def test_a_service_is_healthy_when_its_port_answers(tmp_path):
    with somebody(b"") as taken:
        service = Service("api", PortUse(taken, "PISTON_API_PORT", "127.0.0.1"))
        assert check_service(service) == f"port {taken}"
        running = ProcessState("api", SERVICES, "RUNNING", 1, "")
        assert gather([], [service], {"api": running})[0].healthy
    assert not gather([], [service], {"api": running})[0].healthy
    assert gather([], [service], {})[0].state == "STOPPED"
