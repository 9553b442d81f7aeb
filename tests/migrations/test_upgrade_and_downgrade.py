"""Up and down on real servers, in a stack of its own: other tests keep their data in the shared one."""

import psycopg
import pytest
from confluent_kafka.admin import AdminClient, ConfigResource

from migrations import apply, topics
from migrations.clickhouse import apply as clickhouse
from migrations.timescale import apply as timescale
from telematics.names import KAFKA_PARTITIONS
from telematics.settings import Settings
from warehouse.steps import STEPS
from warehouse.stored import STATED

pytestmark = pytest.mark.integration


def _tables(settings: Settings) -> set[str]:
    with psycopg.connect(settings.timescale_dsn()) as connection:
        rows = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'public'"
        ).fetchall()
    return {row[0] for row in rows}


def _warm_tables(settings: Settings) -> set[str]:
    client = clickhouse._connect(settings)
    rows = client.query("select name from system.tables where database = 'analytics'").result_rows
    client.close()
    return {row[0] for row in rows}


@pytest.fixture
def empty(own_stack: Settings) -> Settings:
    apply.downgrade(own_stack)
    return own_stack


def test_up_makes_every_table_and_down_takes_them_away(empty: Settings) -> None:
    assert _tables(empty) <= {"alembic_version"}
    apply.upgrade(empty)
    assert {
        "telemetry", "devices", "stream_offsets", "dead_letters", "day_loads", "partners",
        "day_archives", "archive_restores",
        "service_records", "backfills", "backfill_rejects",
        "device_commands", "device_keys", "idempotency_keys",
    } <= _tables(empty)  # fmt: skip
    assert {
        "telemetry", "loaded_component_day_signals", "backfill_loads", "vehicles", "service_records",
        "maintenance_predictions", "health_scores", "alerts",
    } <= _warm_tables(empty)  # fmt: skip
    assert all(state.is_current for state in apply.states(empty))
    apply.downgrade(empty)
    assert _tables(empty) <= {"alembic_version"}
    assert _warm_tables(empty) == {"schema_migrations"}
    assert not any(state.is_current for state in apply.states(empty))


def test_a_second_upgrade_changes_nothing(empty: Settings) -> None:
    changes: list[str] = []
    apply.upgrade(empty, changes.append)
    assert changes
    changes.clear()
    apply.upgrade(empty, changes.append)
    assert changes == []


def test_telemetry_is_a_hypertable_with_one_day_chunks_and_one_index(empty: Settings) -> None:
    apply.upgrade(empty)
    with psycopg.connect(empty.timescale_dsn()) as connection:
        chunk = connection.execute(
            "select time_interval::text from timescaledb_information.dimensions"
            " where hypertable_name = 'telemetry'"
        ).fetchone()
        indexes = connection.execute(
            "select indexname from pg_indexes where tablename = 'telemetry'"
        ).fetchall()
    assert chunk == ("1 day",)
    assert indexes == [("telemetry_identity",)]


def test_both_tiers_hold_the_same_columns(empty: Settings) -> None:
    """ClickHouse adds `origin` (joined at load), `dtc_known` (arrays cannot be null), and what it keeps."""
    apply.upgrade(empty)
    with psycopg.connect(empty.timescale_dsn()) as connection:
        hot = connection.execute(
            "select column_name from information_schema.columns where table_name = 'telemetry'"
        ).fetchall()
    client = clickhouse._connect(empty)
    warm = client.query(
        "select name from system.columns where database = 'analytics' and table = 'telemetry'"
    )
    client.close()
    assert {row[0] for row in warm.result_rows} == {
        *(row[0] for row in hot),
        *("origin", "dtc_known", STATED),
        *(step.kept for step in STEPS),
    }


def test_topics_have_their_partitions_and_retention(empty: Settings) -> None:
    assert topics.create_topics(empty.kafka_bootstrap, lambda _: None) == len(topics.TOPICS)
    assert topics.create_topics(empty.kafka_bootstrap, lambda _: None) == 0
    admin = AdminClient({"bootstrap.servers": empty.kafka_bootstrap, "log_level": 0})
    known = admin.list_topics(timeout=10).topics
    for spec in topics.TOPICS:
        assert len(known[spec.name].partitions) == KAFKA_PARTITIONS
        resource = ConfigResource(ConfigResource.Type.TOPIC, str(spec.name))
        (described,) = admin.describe_configs([resource]).values()
        assert int(described.result(10)["retention.ms"].value) == spec.retention_ms


def test_a_database_from_a_newer_release_is_left_alone(empty: Settings) -> None:
    apply.upgrade(empty)
    with psycopg.connect(empty.timescale_dsn()) as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    try:
        with pytest.raises(Exception, match="does not know; use a newer Piston"):
            timescale.migrate(empty, "head")
    finally:
        with psycopg.connect(empty.timescale_dsn()) as connection:
            connection.execute("update alembic_version set version_num = %s", [timescale.head()])
