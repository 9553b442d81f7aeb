"""Fixtures of the tests of publishing: see `planting.py`."""

from collections.abc import Iterator

import pytest
import redis
from clickhouse_connect.driver.client import Client

from telematics.settings import Settings
from tests.warehouse.publish.planting import standing_marts


@pytest.fixture
def marts(warm: Client) -> Iterator[Client]:
    """A client that may write to ClickHouse while both marts stand."""
    with standing_marts(warm):
        yield warm


@pytest.fixture
def published(stack: Settings) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(stack.valkey_url(), decode_responses=True) as connection:
        yield connection
