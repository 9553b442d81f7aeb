"""Stores, and vehicles and days of the test's own."""

import psycopg
import pytest
from clickhouse_connect.driver.client import Client

from telematics.settings import Settings
from tests.warehouse.backfill.telemetry.making import World


@pytest.fixture
def world(stack: Settings, warm: Client, hot: psycopg.Connection) -> World:
    return World(stack, warm, hot)
