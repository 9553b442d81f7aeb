"""The sink's side of TimescaleDB: rows, dead letters, days and offsets, all in one transaction.

`TelemetryStore` keeps the connection; `SinkTransaction` is one transaction. Its steps, in this order:

1. `advance`: move the offsets from what this sink wrote last. Where that is no longer what stands there,
   another sink took over and nothing else happens (`FencedError`). It comes first because it locks the
   offsets' rows: of two sinks with the same messages the second waits here, before it did any work.
2. `choose_odometers`, `insert`, `park`: the effect of the messages.
3. `touch_days`: last, because all sinks share these rows and hold them until the commit. Sorted by day, so
   that no two of them wait for each other.

Each method raises the errors of `ingest.sink.errors` only.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, NamedTuple

import psycopg
from psycopg import errors as pg

from ingest.registry.repository import Connection, connect, load_timeline
from ingest.registry.timeline import InstallationTimeline
from ingest.sink.columns import COLUMN_LIST, TABLE
from ingest.sink.decoding import DecodedBatch, OdometerSources, Reject
from ingest.sink.errors import (
    FencedError,
    RegistryChangedError,
    RowRefusedError,
    SinkStoppedError,
    StoreUnavailableError,
)
from telematics.clock import from_epoch_ms
from telematics.settings import Settings

_EPOCH: Final = date(1970, 1, 1)

_SESSION: Final = """
    set timezone = 'UTC';
    -- a sink that was suspended in the middle of a transaction must not hold its locks for ever
    set idle_in_transaction_session_timeout = '30s';
    set lock_timeout = '60s';
    set client_min_messages = warning;
"""
_COPY: Final = f"copy {TABLE} ({COLUMN_LIST}) from stdin (format binary)"
_STAGING: Final = "sink_batch"
_CREATE_STAGING: Final = (
    f"create temporary table if not exists {_STAGING} (like {TABLE}) on commit delete rows"
)
_COPY_STAGING: Final = f"copy {_STAGING} ({COLUMN_LIST}) from stdin (format binary)"
_MERGE: Final = f"""
    with inserted as (
        insert into {TABLE} ({COLUMN_LIST}) select {COLUMN_LIST} from {_STAGING}
        on conflict do nothing
        returning time
    )
    select (time at time zone 'UTC')::date - date '1970-01-01', count(*) from inserted group by 1
"""
_MOVE_OFFSET: Final = """
    update stream_offsets set next_offset = %(next)s, updated_at = now()
    where consumer_group = %(group)s and topic = %(topic)s and partition = %(partition)s
        and next_offset = %(expected)s and cluster_id = %(cluster_id)s and topic_id = %(topic_id)s
"""
_FIRST_OFFSET: Final = """
    insert into stream_offsets (consumer_group, topic, partition, cluster_id, topic_id, next_offset)
    values (%(group)s, %(topic)s, %(partition)s, %(cluster_id)s, %(topic_id)s, %(next)s)
    on conflict do nothing
"""
_READ_OFFSETS: Final = """
    select topic, partition, cluster_id, topic_id, next_offset from stream_offsets
    where consumer_group = %s
"""
_CHOOSE_SOURCE: Final = """
    update device_installations set odometer_source = %s
    where installation_id = %s and odometer_source is null
"""
_PARK: Final = """
    insert into dead_letters
        (topic, topic_id, partition, message_offset,
        device_id, transport, received_at, reason, detail, message)
    -- the offset moved first in this transaction, so the topic's incarnation is there to be read
    select topic, topic_id, partition, %s, %s, %s, %s, %s, %s, %s
    from stream_offsets where consumer_group = %s and topic = %s and partition = %s
    on conflict (topic_id, partition, message_offset) do nothing
"""
_TOUCH_DAY: Final = """
    insert into hot_days (day, version, row_count, last_written_at) values (%s, 1, %s, now())
    on conflict (day) do update set
        version = hot_days.version + 1,
        row_count = hot_days.row_count + excluded.row_count,
        last_written_at = excluded.last_written_at
"""

# What PostgreSQL says about a row, as opposed to the server or the statement: SQLSTATE classes 22 and 23,
# and values beyond its own limits.
_REFUSALS: Final = (pg.DataError, pg.IntegrityError, pg.ProgramLimitExceeded)


# The last two: a sink that was suspended inside a transaction, and a standby that is being promoted.
_TRANSIENT: Final = (psycopg.OperationalError, pg.IdleInTransactionSessionTimeout, pg.ReadOnlySqlTransaction)


class StoredOffset(NamedTuple):
    """Where a partition stands in TimescaleDB."""

    cluster_id: str
    topic_id: str
    next_offset: int


@dataclass(frozen=True, slots=True)
class OffsetMove:
    """One partition's step from what this sink wrote last (None: nothing yet) to what comes next."""

    topic: str
    partition: int
    cluster_id: str
    topic_id: str
    expected: int | None
    next_offset: int


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn psycopg's errors into the sink's."""
    try:
        yield
    except _REFUSALS as error:
        raise RowRefusedError(error.sqlstate or "unknown") from error
    except _TRANSIENT as error:
        # Connection lost, shutdown, deadlock, serialization, lock timeout, disk full: all pass. The text
        # of such errors names servers and states, never rows.
        message = f"TimescaleDB does not take the batch now (SQLSTATE {error.sqlstate or 'none'})"
        raise StoreUnavailableError(message) from error
    except psycopg.Error as error:
        message = (
            f"TimescaleDB refuses what the sink asks (SQLSTATE {error.sqlstate or 'none'}, "
            f"{type(error).__name__}); nothing of the batch is stored. Check that the schema is the one "
            f"of this release (`piston up` migrates it) and start the sink again"
        )
        raise SinkStoppedError(message) from error


class SinkTransaction:
    """One open transaction of the sink."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def advance(self, group: str, moves: Sequence[OffsetMove]) -> None:
        """Move the group's offsets.

        Raises:
            FencedError: a stored offset is not the expected one.
        """
        with translated_errors():
            for move in sorted(moves, key=lambda move: (move.topic, move.partition)):
                statement = _FIRST_OFFSET if move.expected is None else _MOVE_OFFSET
                parameters = {
                    "group": group,
                    "topic": move.topic,
                    "partition": move.partition,
                    "cluster_id": move.cluster_id,
                    "topic_id": move.topic_id,
                    "expected": move.expected,
                    "next": move.next_offset,
                }
                if self._connection.execute(statement, parameters).rowcount != 1:
                    message = f"offset of partition {move.partition} was moved by another sink"
                    raise FencedError(message)

    def choose_odometers(self, sources: OdometerSources) -> None:
        """Settle the odometer source of installations that had none.

        Raises:
            RegistryChangedError: one of them has a source by now.
        """
        with translated_errors():
            for installation_id, source in sorted(sources.items()):
                chosen = self._connection.execute(_CHOOSE_SOURCE, (source.value, installation_id))
                if chosen.rowcount != 1:
                    message = "an installation's odometer source was chosen by someone else"
                    raise RegistryChangedError(message)

    def insert(self, batch: DecodedBatch) -> Counter[int]:
        """Store the batch's rows, leaving out those that are there already.

        COPY straight into the hypertable is the fast path; the first duplicate takes it back to its
        savepoint, and the batch goes through a temporary table instead.

        Returns:
            Rows stored, by days since 1970-01-01.

        Raises:
            RowRefusedError: PostgreSQL does not take a row; the transaction goes on as if this call had not
                been made.
        """
        if not batch.row_count:
            return Counter()
        with translated_errors():
            try:
                with self._connection.transaction():
                    self._copy(_COPY, batch.copy)
            except pg.UniqueViolation:
                return self._merge(batch.copy)
        return Counter(batch.rows_by_day)

    def _merge(self, copy: bytes) -> Counter[int]:
        with self._connection.transaction():
            self._connection.execute(_CREATE_STAGING)
            self._connection.execute(f"truncate {_STAGING}")
            self._copy(_COPY_STAGING, copy)
            inserted = self._connection.execute(_MERGE).fetchall()
        return Counter({int(day): int(rows) for day, rows in inserted})

    def _copy(self, statement: str, data: bytes) -> None:
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(memoryview(data))  # psycopg cuts it in pieces: of a view, without a copy of each

    def park(self, group: str, rejects: Sequence[Reject]) -> None:
        """Keep messages as dead letters, after `advance`; one that is parked already stays as it is."""
        if not rejects:
            return
        rows = [
            (
                reject.offset,
                reject.device_id,
                reject.transport,
                None if reject.received_at_ms is None else from_epoch_ms(reject.received_at_ms),
                reject.reason,
                reject.detail,
                reject.message,
                group,
                reject.topic,
                reject.partition,
            )
            for reject in rejects
        ]
        with translated_errors(), self._connection.cursor() as cursor:
            cursor.executemany(_PARK, rows)

    def touch_days(self, rows_by_day: Mapping[int, int]) -> None:
        """Count stored rows into `hot_days`, which makes those days dirty for the warehouse."""
        days = [(_EPOCH + timedelta(day), rows) for day, rows in sorted(rows_by_day.items()) if rows]
        if days:
            with translated_errors(), self._connection.cursor() as cursor:
                cursor.executemany(_TOUCH_DAY, days)


class TelemetryStore:
    """A connection to TimescaleDB that is made when needed and thrown away after any failure."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[SinkTransaction]:
        """One transaction: committed at the end of the block, rolled back when the block raises.

        Raises:
            StoreUnavailableError: the connection or the commit failed. Whether the commit took effect is
                then unknown; the stored offsets tell.
        """
        with self._transaction() as connection:
            yield SinkTransaction(connection)

    def read_offsets(self, group: str) -> dict[tuple[str, int], StoredOffset]:
        """The offsets of a consumer group, by topic and partition."""
        with self._transaction() as connection:
            rows = connection.execute(_READ_OFFSETS, (group,)).fetchall()
        return {
            (topic, partition): StoredOffset(cluster_id, topic_id, next_offset)
            for topic, partition, cluster_id, topic_id, next_offset in rows
        }

    def load_timeline(self, imeis: Collection[str]) -> InstallationTimeline:
        """Families and installations of these devices as they are registered now."""
        with self._transaction() as connection:
            return load_timeline(connection, imeis)

    def close(self) -> None:
        """End the connection; the next use makes another."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with translated_errors():
                connection = self._open()
                with connection.transaction():
                    yield connection
        except (StoreUnavailableError, SinkStoppedError):
            self.close()
            raise

    def _open(self) -> Connection:
        if self._connection is None or self._connection.closed:
            connection = connect(self._settings, "sink")
            connection.autocommit = True
            connection.execute(_SESSION)
            self._connection = connection
        return self._connection
