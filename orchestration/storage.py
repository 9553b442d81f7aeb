"""Dagster's storage in PostgreSQL, with an event log that keeps its connection and plans in batches.

A ranged run writes one planned and one materialised event for each asset and day. Stock storage opens a new
connection for every write and stores planned events one by one even when they arrive in a batch: for a year
of days that took 53 s, kept connections and batches 35 s (measured, docs: warehouse notes). Materialised
events are already stored in batches by the base class.

This leans on private methods of dagster-postgres, whose version is pinned in requirements/lock.txt;
`tests/orchestration/test_storage.py` notices when they change.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from dagster import AssetKey, DagsterEventType, EventLogEntry
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage
from dagster_postgres.utils import create_pg_engine, pg_url_from_config


class PooledEventLog(PostgresEventLogStorage):
    """The event log over a small pool of kept connections."""

    def __init__(
        self, postgres_url: str, should_autocreate_tables: bool = True, inst_data: Any = None
    ) -> None:
        super().__init__(postgres_url, should_autocreate_tables, inst_data)
        self._engine = create_pg_engine(
            postgres_url,
            isolation_level="AUTOCOMMIT",
            pool_size=1,
            max_overflow=8,
            pool_recycle=600,
            pool_pre_ping=True,  # a restarted PostgreSQL costs one ping, not a failed run
        )

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store the events; planned materialisations of one asset go in as one statement."""
        planned: dict[AssetKey, list[EventLogEntry]] = defaultdict(list)
        others: list[EventLogEntry] = []
        for event in events:
            stored = event.get_dagster_event()
            if stored.event_type == DagsterEventType.ASSET_MATERIALIZATION_PLANNED and stored.asset_key:
                planned[stored.asset_key].append(event)
            else:
                others.append(event)
        for group in planned.values():
            self._store_planned(group)
        if others:
            super().store_event_batch(others)

    def _store_planned(self, events: Sequence[EventLogEntry]) -> None:
        insert = self.prepare_insert_event_batch(events).returning(SqlEventLogStorageTable.c.id)
        with self._connect() as connection:
            ids = [row[0] for row in connection.execute(insert).fetchall()]
        with self.index_transaction() as connection:
            self._store_asset_event_tags(connection, events, ids)
            self._store_asset_event(connection, events[-1], ids[-1])


class PooledPostgresStorage(DagsterPostgresStorage):
    """dagster-postgres with the pooled event log; named in dagster.yaml."""

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: Any = None,
        token_provider: Any = None,
    ) -> None:
        super().__init__(postgres_url, should_autocreate_tables, inst_data, token_provider)
        self._event_log_storage = PooledEventLog(postgres_url, should_autocreate_tables)

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Any) -> "PooledPostgresStorage":
        """Built by Dagster from dagster.yaml."""
        return cls(
            pg_url_from_config(config_value), config_value.get("should_autocreate_tables", True), inst_data
        )
