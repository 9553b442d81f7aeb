"""One stack of this module's own, which it kills and restarts as it likes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator

import psycopg
import pytest
import redis
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from migrations.apply import upgrade
from stack import control
from stack.errors import PreflightError, StartError
from stack.layout import Layout
from stack.processes import command_line, family, is_alive, read_pid, wait_gone
from stack.report import ServerStatus
from stack.services import environment_of
from stack.supervision import SERVERS
from telematics.settings import Settings
from tests.stack_fixture import make_data_dir, make_settings, remove_stack

pytestmark = pytest.mark.integration

NAMES = ("kafka", "timescale", "clickhouse", "valkey")
RECOVERY_S = 60.0


@pytest.fixture(scope="module")
def own() -> Iterator[Settings]:
    settings = make_settings(make_data_dir())
    try:
        control.up(settings, progress=print, is_tied=True)
        yield settings
    finally:
        remove_stack(settings)


@pytest.fixture(autouse=True)
def running(own: Settings) -> None:
    """Every test finds the servers up, whatever the one before did."""
    control.up(own, progress=print, is_tied=True)


def servers_of(settings: Settings) -> dict[str, ServerStatus]:
    return {one.name: one for one in control.status(settings) if one.group == SERVERS}


def pids_of(settings: Settings) -> dict[str, int]:
    return {name: one.pid for name, one in servers_of(settings).items() if one.pid is not None}


def eventually(condition: Callable[[], bool], timeout_s: float = RECOVERY_S) -> bool:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def clickhouse(settings: Settings, statement: str, user: str, password: str) -> str:
    request = urllib.request.Request(
        f"http://{settings.host}:{settings.clickhouse_http_port}/",
        data=statement.encode(),
        headers={"X-ClickHouse-User": user, "X-ClickHouse-Key": password},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode().strip()


def as_owner(settings: Settings, statement: str) -> str:
    return clickhouse(
        settings, statement, settings.clickhouse_user, settings.clickhouse_password.get_secret_value()
    )


def write_everywhere(settings: Settings, mark: str) -> None:
    """Put the mark into each server, acknowledged."""
    with psycopg.connect(settings.timescale_dsn()) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS marks (mark text)")
        connection.execute("INSERT INTO marks VALUES (%s)", (mark,))
    as_owner(
        settings, "CREATE TABLE IF NOT EXISTS analytics.marks (mark String) ENGINE MergeTree ORDER BY mark"
    )
    as_owner(settings, f"INSERT INTO analytics.marks VALUES ('{mark}')")
    with redis.Redis.from_url(settings.valkey_url()) as client:
        client.set(f"mark:{mark}", mark)
    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap})
    admin.create_topics([NewTopic(f"marks-{mark}", num_partitions=1)])[f"marks-{mark}"].result(20)
    producer = Producer({"bootstrap.servers": settings.kafka_bootstrap, "acks": "all"})
    producer.produce(f"marks-{mark}", mark.encode())
    assert producer.flush(20) == 0


def read_everywhere(settings: Settings, mark: str) -> list[str]:
    """The mark as each server still has it."""
    with psycopg.connect(settings.timescale_dsn()) as connection:
        rows = connection.execute("SELECT mark FROM marks WHERE mark = %s", (mark,)).fetchall()
    with redis.Redis.from_url(settings.valkey_url()) as client:
        value = client.get(f"mark:{mark}")
    return [
        *(row[0] for row in rows),
        as_owner(settings, f"SELECT mark FROM analytics.marks WHERE mark = '{mark}'"),
        value.decode() if value else "",
        *consume(settings, f"marks-{mark}"),
    ]


def consume(settings: Settings, topic: str) -> list[str]:
    consumer = Consumer(
        {"bootstrap.servers": settings.kafka_bootstrap, "group.id": topic, "enable.partition.eof": True}
    )
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        found = []
        while (message := consumer.poll(20)) is not None:
            if message.error():
                assert message.error().code() == KafkaError._PARTITION_EOF
                break
            found.append(message.value().decode())
        return found
    finally:
        consumer.close()


def kill_all(settings: Settings) -> dict[str, int]:
    killed = pids_of(settings)
    for pid in killed.values():
        os.kill(pid, signal.SIGKILL)
    return killed


def is_recovered(settings: Settings, killed: dict[str, int]) -> bool:
    found = servers_of(settings)
    return all(found[name].healthy and found[name].pid != killed[name] for name in NAMES)


def test_a_second_up_changes_nothing_and_is_fast(own):
    before, lines = pids_of(own), []
    started = time.monotonic()
    control.up(own, progress=lines.append, is_tied=True)
    assert time.monotonic() - started < 5.0  # 0.3 s on an idle machine
    assert pids_of(own) == before
    assert lines == []
    assert set(before) == set(NAMES)


def test_acknowledged_data_survive_kill_9_of_every_server(own):
    mark = uuid.uuid4().hex
    write_everywhere(own, mark)
    time.sleep(1.1)  # Valkey syncs its log every second
    killed = kill_all(own)
    assert set(killed) == set(NAMES)
    assert eventually(lambda: is_recovered(own, killed))
    assert read_everywhere(own, mark) == [mark] * 4


def test_a_killed_supervisor_takes_its_servers_along_and_up_brings_all_back(own):
    mark = uuid.uuid4().hex
    write_everywhere(own, mark)
    supervisor, before = control.Stack(own).supervisor.pid(), pids_of(own)
    os.kill(supervisor, signal.SIGKILL)
    assert all(wait_gone(pid, 30.0) for pid in before.values())
    control.up(own, progress=print, is_tied=True)
    assert set(pids_of(own).values()).isdisjoint(before.values())
    assert read_everywhere(own, mark) == [mark] * 4


def test_down_leaves_no_process_and_up_finds_the_data_again(own):
    mark = uuid.uuid4().hex
    write_everywhere(own, mark)
    supervisor = control.Stack(own).supervisor.pid()
    everybody = family(supervisor)
    assert len(everybody) > len(NAMES)
    control.down(own)
    assert not [pid for pid in everybody if is_alive(pid)]
    assert {one.state for one in control.status(own)} == {"STOPPED"}
    control.down(own)  # nothing runs: nothing happens
    control.up(own, progress=print, is_tied=True)
    assert read_everywhere(own, mark) == [mark] * 4


def test_a_taken_port_is_refused_before_anything_starts(own):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = make_settings(make_data_dir(), valkey_port=listener.getsockname()[1])
        try:
            with pytest.raises(PreflightError, match="PISTON_VALKEY_PORT") as refusal:
                control.up(taken)
            assert str(os.getpid()) in str(refusal.value)
            assert read_pid(Layout.of(taken).supervisor_pid) is None
        finally:
            remove_stack(taken)


def test_nobody_comes_in_without_a_password(own):
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(own.timescale_dsn().replace("piston-development-only", "wrong"))
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(f"host={own.host} port={own.timescale_port} user=postgres dbname=postgres")
    with redis.Redis(host=own.host, port=own.valkey_port) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    for statement in (
        "SELECT number FROM system.numbers LIMIT 1",
        "SYSTEM STOP LISTEN HTTP",
        "SHOW TABLES FROM system",
    ):
        assert refused(own, statement, "default", "")
    assert servers_of(own)["clickhouse"].healthy


def test_the_reader_reads_and_does_nothing_else(own):
    as_owner(own, "CREATE TABLE IF NOT EXISTS analytics.readable (n Int32) ENGINE MergeTree ORDER BY n")
    as_owner(own, "INSERT INTO analytics.readable VALUES (7)")
    reader = (own.clickhouse_reader_user, own.clickhouse_reader_password.get_secret_value())
    assert clickhouse(own, "SELECT n FROM analytics.readable", *reader) == "7"
    for statement in (
        "INSERT INTO analytics.readable VALUES (8)",
        "DROP TABLE analytics.readable",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM system.users",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    ):
        assert refused(own, statement, *reader)
    assert refused(own, "SELECT * FROM file('/etc/passwd', 'LineAsString')", *owner_of(own))


def owner_of(settings: Settings) -> tuple[str, str]:
    return settings.clickhouse_user, settings.clickhouse_password.get_secret_value()


def refused(settings: Settings, statement: str, user: str, password: str) -> bool:
    try:
        clickhouse(settings, statement, user, password)
    except urllib.error.HTTPError as error:
        with error:
            return error.headers["X-ClickHouse-Exception-Code"] in ("497", "201")  # access denied, quota
    return False


def test_our_role_owns_its_databases_and_is_no_superuser(own):
    with psycopg.connect(own.timescale_dsn()) as connection:
        role = connection.execute("SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user")
        assert role.fetchone() == (False, True)
        owners = connection.execute(
            "SELECT datname, pg_get_userbyid(datdba) FROM pg_database "
            "WHERE datname IN ('telemetry', 'dagster')"
        )
        assert sorted(owners.fetchall()) == [("dagster", "piston"), ("telemetry", "piston")]
        assert connection.execute("SHOW timezone").fetchone() == ("UTC",)
        jobs = connection.execute("SELECT scheduled FROM _timescaledb_config.bgw_job WHERE id = 3").fetchall()
        assert jobs == [(False,)]


def piston(settings: Settings, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *words],
        env=environment_of(settings),
        capture_output=True,
        text=True,
        check=False,
    )


def test_status_ends_with_1_when_something_that_should_run_does_not(own):
    well = piston(own, "status", "--json")
    assert well.returncode == 0, well.stderr
    assert {one["name"] for one in json.loads(well.stdout)["processes"] if one["healthy"]} == set(NAMES)
    never_started = make_settings(make_data_dir())
    try:
        ill = piston(never_started, "status", "--json")
        assert ill.returncode == 1
        assert not json.loads(ill.stdout)["ok"]
    finally:
        remove_stack(never_started)


def test_doctor_finds_nothing_to_fail_on_a_running_stack(own):
    done = piston(own, "doctor", "--json")
    findings = {one["name"]: one for one in json.loads(done.stdout)["findings"]}
    assert {findings[name]["level"] for name in ("Kafka", "TimescaleDB", "ClickHouse", "Valkey")} == {"ok"}
    failed = [one["name"] for one in findings.values() if one["level"] == "fail"]
    assert all(name.startswith("schema") for name in failed)  # this stack never had one


def test_a_killed_service_comes_back_and_a_stopped_one_is_no_fault(own):
    upgrade(own)
    control.start_services(own, ["sink"])
    first = sink_of(own).pid
    assert "sink" in command_line(first)
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: sink_of(own).state == "RUNNING" and sink_of(own).pid != first)
    control.stop_services(own, ["sink"])
    assert sink_of(own).pid is None
    assert not sink_of(own).is_wrong


def sink_of(settings: Settings) -> ServerStatus:
    return next(one for one in control.status(settings) if one.name == "sink")


def test_a_service_needs_a_running_stack_and_a_known_name(own):
    with pytest.raises(PreflightError, match="teapot"):
        control.start_services(own, ["teapot"])
    idle = make_settings(make_data_dir())
    try:
        with pytest.raises(StartError, match="piston up"):
            control.start_services(idle, ["sink"])
    finally:
        remove_stack(idle)
