import json
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pydantic import SecretStr

from stack import clickhouse_node
from stack.account import own_account
from stack.layout import Layout, make_private, write_private
from stack.servers.clickhouse import ClickHouse
from stack.servers.elasticsearch import Elasticsearch, hash_password
from stack.servers.kafka import Kafka
from stack.servers.server import Ground
from stack.servers.timescale import Timescale
from stack.servers.valkey import Valkey
from stack.services import environment_of, programs_of, services_of, write_environment
from stack.supervision import SERVERS, SERVICES, Program, configuration
from telematics.settings import Settings

PASSWORDS = {
    "timescale_password": SecretStr("time'scale"),
    "clickhouse_password": SecretStr("click<house"),
    "clickhouse_reader_password": SecretStr("reader&"),
    "valkey_password": SecretStr("val key"),
    "search_password": SecretStr("se:arch"),
}


@pytest.fixture
def ground(tmp_path) -> Ground:
    settings = Settings(
        _env_file=None, data_dir=tmp_path / "data", programs_dir=tmp_path / "programs", **PASSWORDS
    )
    return Ground(settings, Layout.of(settings), own_account(), "0123456789abcdef")


def properties(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


def test_kafka_listens_on_the_loopback_and_survives_a_small_heap(ground):
    found = properties(Kafka(ground).properties())
    assert found["listeners"] == "PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093"
    assert found["log.dirs"] == str(ground.settings.data / "kafka/logs")
    assert int(found["log.cleaner.dedupe.buffer.size"]) < 192 * 2**20 / 2
    assert found["auto.create.topics.enable"] == "false"


def test_postgresql_wants_passwords_and_keeps_what_it_commits(ground):
    files = Timescale(ground).configuration()
    assert "synchronous_commit = on" in files["postgresql.conf"]
    assert "max_locks_per_transaction = 256" in files["postgresql.conf"]
    assert "jit = off" in files["postgresql.conf"]
    assert "cluster_name = 'piston-0123456789abcdef'" in files["postgresql.conf"]
    rules = [line.split() for line in files["pg_hba.conf"].splitlines() if line and not line.startswith("#")]
    assert {rule[-1] for rule in rules if rule[0] == "host"} == {"reject", "scram-sha-256"}
    assert "trust" not in files["pg_hba.conf"]


def test_clickhouse_users_have_only_what_they_need(ground):
    users = ElementTree.fromstring(ClickHouse(ground).configuration("key")["users.xml"]).find("users")
    grants = {user.tag: [query.text for query in user.iter("query")] for user in users}
    assert grants["piston_reader"] == ["GRANT SELECT ON analytics.*"]
    assert all("FILE" not in grant for rights in grants.values() for grant in rights)
    assert all(
        query.startswith(("GRANT SYSTEM LISTEN", "GRANT SELECT ON system.numbers"))
        for query in grants["default"]
    )
    assert {user.find("networks/ip").text for user in users} == {"::1", "127.0.0.0/8"}


def test_the_quota_of_the_engines_user_is_what_its_session_runs(ground):
    users = ElementTree.fromstring(ClickHouse(ground).configuration("key")["users.xml"])
    assert users.find("quotas/engine/interval/queries").text == str(len(clickhouse_node.STATEMENTS))
    assert users.find("users/default/quota").text == "engine"


def test_clickhouse_inserts_are_answered_when_written(ground):
    users = ElementTree.fromstring(ClickHouse(ground).configuration("key")["users.xml"])
    assert users.find("profiles/owner/async_insert").text == "0"
    assert users.find("profiles/reader/max_execution_time").text == "30"


def test_no_password_stands_in_a_configuration(ground):
    texts = [
        Kafka(ground).properties(),
        *Timescale(ground).configuration().values(),
        *ClickHouse(ground).configuration("stop-key-in-plain").values(),
        Valkey(ground).configuration(),
        *Elasticsearch(ground).configuration().values(),
        configuration(ground.layout, programs_of(ground.layout)),
    ]
    for secret in [value.get_secret_value() for value in PASSWORDS.values()] + ["stop-key-in-plain"]:
        assert not [text for text in texts if secret in text]


def test_valkey_keeps_what_it_is_told(ground):
    lines = Valkey(ground).configuration().splitlines()
    assert {"appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction", "bind 127.0.0.1"} <= set(
        lines
    )


def test_elasticsearch_wants_a_password_and_its_user_reaches_the_vehicles_only(ground):
    files = Elasticsearch(ground).configuration()
    lines = files["elasticsearch.yml"].splitlines()
    assert {
        "xpack.security.enabled: true",
        'network.host: "127.0.0.1"',
        'action.auto_create_index: "false"',
        "cluster.name: piston-0123456789abcdef",
    } <= set(lines)
    assert files["users"] == Elasticsearch(ground).configuration()["users"]  # else each `up` would restart it
    assert files["users"].startswith("piston:{PBKDF2}10000$")
    assert 'names: [ "vehicles", "vehicles-*" ]' in files["roles.yml"]
    assert "-Xmx256m" in files["jvm.options"].splitlines()


def test_two_stacks_with_one_password_keep_different_hashes():
    assert hash_password("same", "0123456789abcdef") != hash_password("same", "fedcba9876543210")


def test_elasticsearch_joins_a_running_stack_without_restarting_the_others(ground):
    # the supervisor restarts a whole group when one of its programs is added
    assert Elasticsearch(ground).group not in {SERVERS, SERVICES}
    assert {kind.group for kind in (Kafka, Timescale, ClickHouse, Valkey)} == {SERVERS}


def test_the_supervisor_runs_servers_on_a_leash(ground):
    program = Program(
        name="tool",
        group=SERVERS,
        command=("/opt/a b/tool", "50%"),
        environment=(("RATE", "5%"),),
        stop_signal="INT",
    )
    words = program.full_command(ground.layout)
    assert words[:2] == ["/bin/sh", "-c"]
    assert "--pdeathsig=INT" in words
    assert words[-2:] == ["/opt/a b/tool", "50%"]
    section = program.section(ground.layout)
    assert "'/opt/a b/tool' 50%%" in section
    assert 'environment=RATE="5%%"' in section
    assert "stopsignal=INT" in section


def test_services_wait_to_be_started_and_servers_have_their_own_group(ground):
    text = configuration(ground.layout, programs_of(ground.layout))
    assert "[group:services]\nprograms=sink,live,search-feed,gateway,api,dagster" in text
    assert "autostart=true" not in text


def test_without_search_no_feed_is_offered_and_the_services_group_stays_the_same(ground):
    without = ground.settings.model_copy(update={"with_search": False})
    assert "search-feed" in services_of(ground.settings)
    assert "search-feed" not in services_of(without)
    # a group that differs would be restarted as a whole
    assert programs_of(Layout.of(without)) == programs_of(ground.layout)


def test_a_service_gets_every_setting_explicitly(ground, monkeypatch):
    monkeypatch.setenv("PISTON_SOMETHING_OLD", "1")
    environment = environment_of(ground.settings)
    assert "PISTON_SOMETHING_OLD" not in environment
    assert environment["PISTON_DATA_DIR"] == str(ground.settings.data)
    assert environment["PISTON_VALKEY_PASSWORD"] == "val key"
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Settings(_env_file=None) == ground.settings


def test_a_changed_setting_is_noticed_and_a_changed_shell_is_not(ground, monkeypatch):
    ground.layout.run.mkdir(parents=True)
    assert write_environment(ground.settings, ground.layout)
    monkeypatch.setenv("SOME_SHELL_VARIABLE", "2")
    assert not write_environment(ground.settings, ground.layout)
    assert json.loads((ground.layout.run / "services.json").read_text())["SOME_SHELL_VARIABLE"] == "2"
    assert write_environment(ground.settings.model_copy(update={"api_port": 8001}), ground.layout)


def test_configuration_files_are_closed_to_others(tmp_path):
    own = own_account()
    path = tmp_path / "secret.conf"
    assert write_private(path, "first", own.uid, own.gid)
    assert path.stat().st_mode & 0o777 == 0o600
    assert not write_private(path, "first", own.uid, own.gid)
    assert write_private(path, "second", own.uid, own.gid)
    make_private(tmp_path / "closed", own.uid, own.gid)
    assert (tmp_path / "closed").stat().st_mode & 0o777 == 0o700


def test_the_identity_is_made_once(tmp_path):
    layout = Layout(tmp_path, tmp_path / "data")
    first = layout.identity()
    assert len(first) == 16
    assert layout.identity() == first
    assert Layout(tmp_path, tmp_path / "other").identity() != first


def test_sockets_have_a_path_that_the_kernel_can_hold(tmp_path):
    for length in range(1, 130):
        folder = Layout(tmp_path, Path("/" + "a" * length)).sockets("timescale")
        assert len(os.fsencode(folder / ".s.PGSQL.65535.lock")) <= 107
