"""The TTL of `analytics.telemetry`: it follows its setting, and nothing but a move and a recompression."""

from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client

from migrations import apply
from migrations.clickhouse import apply as clickhouse
from migrations.clickhouse.tiers import cold_ttl
from telematics.names import TIERED_POLICY
from telematics.settings import Settings

pytestmark = pytest.mark.integration


@pytest.fixture
def warm(own_stack: Settings) -> Iterator[Client]:
    apply.upgrade(own_stack)
    client = clickhouse._connect(own_stack)
    yield client
    client.close()


def _created(client: Client) -> str:
    [[text]] = client.query(
        "select create_table_query from system.tables where database = 'analytics' and name = 'telemetry'"
    ).result_rows
    return str(text)


def test_the_table_has_two_volumes_and_a_ttl_that_never_deletes(own_stack: Settings, warm: Client) -> None:
    text = _created(warm)
    assert f"storage_policy = '{TIERED_POLICY}'" in text
    assert f" TTL {cold_ttl(90)} SETTINGS" in " ".join(text.split())
    assert "DELETE" not in text
    volumes = warm.query(
        "select volume_name from system.storage_policies where policy_name = {policy:String} "
        "order by volume_priority",
        parameters={"policy": TIERED_POLICY},
    ).result_rows
    assert [name for (name,) in volumes] == ["default", "cold"]


def test_another_retention_takes_effect_with_the_next_upgrade_and_only_once(
    own_stack: Settings, warm: Client
) -> None:
    shorter = own_stack.model_copy(update={"warm_retention_days": 30})
    said: list[str] = []
    apply.upgrade(shorter, said.append)
    assert said == ["ClickHouse: days grow cold after 30 days"]
    assert cold_ttl(30) in " ".join(_created(warm).split())
    apply.upgrade(shorter, said.append)
    assert len(said) == 1
    apply.upgrade(own_stack)
    assert cold_ttl(90) in " ".join(_created(warm).split())


def test_a_ttl_that_deletes_is_taken_away(own_stack: Settings, warm: Client) -> None:
    warm.command(
        f"alter table analytics.telemetry modify ttl {cold_ttl(90)}, toDateTime(time) + toIntervalDay(9999)"
    )
    assert "DELETE" in _created(warm) or "toIntervalDay(9999)" in _created(warm)
    apply.upgrade(own_stack)
    assert "9999" not in _created(warm)


def test_the_step_down_leaves_the_table_without_a_ttl(own_stack: Settings, warm: Client) -> None:
    clickhouse.migrate(own_stack, 3)
    assert " TTL " not in " ".join(_created(warm).split())
    apply.upgrade(own_stack)
    assert cold_ttl(90) in " ".join(_created(warm).split())
