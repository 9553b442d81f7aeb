"""The sink: batches of the telemetry topics into TimescaleDB, each message with its effect exactly once.

STRATEGY: one batch is one transaction that holds rows, dead letters, days and offsets (`ingest.sink.store`).
TimescaleDB's offsets are the truth: partitions start there, and messages below them are passed over. So it
never matters who died when, or whether a commit whose answer was lost took effect: after any failure the
offsets are read again and say what is left to do.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog
from confluent_kafka import OFFSET_BEGINNING, Message, TopicPartition

from ingest.registry_cache import RegistryCache, imeis_of
from ingest.sink.decoding import DecodedBatch, FrameDecoder, OdometerSources, Reject, reject
from ingest.sink.errors import FencedError, RegistryChangedError, RowRefusedError, StoreUnavailableError
from ingest.sink.metrics import SinkMetrics
from ingest.sink.positions import Positions, check_identity
from ingest.sink.received import ReceivedSpan, widened
from ingest.sink.store import SinkTransaction, TelemetryStore
from ingest.stream.identity import StreamIdentity
from telematics import clock
from telematics.errors import UnavailableError
from telematics.names import OdometerSource

log = structlog.get_logger()

_ATTEMPTS: Final = 5
"""Takeovers and registry changes met by one batch before the loop takes a breath."""


@dataclass(slots=True)
class _Outcome:
    """What storing a batch came to."""

    rows_by_day: Counter[int] = field(default_factory=Counter)
    decoded_rows: int = 0
    repeated: int = 0
    received_ms: ReceivedSpan | None = None
    rejects: list[Reject] = field(default_factory=list)

    def add(self, decoded: DecodedBatch, stored: Counter[int]) -> None:
        self.rows_by_day += stored
        self.decoded_rows += decoded.row_count
        self.repeated += decoded.duplicate_count
        self.received_ms = widened(self.received_ms, decoded.received_ms)
        self.rejects += decoded.rejects

    @property
    def record_count(self) -> int:
        return self.rows_by_day.total()

    @property
    def duplicate_count(self) -> int:
        return self.repeated + self.decoded_rows - self.record_count


class Sink:
    """The sink as a `BatchHandler` of `ingest.stream.consumer`."""

    def __init__(
        self,
        store: TelemetryStore,
        decoder: FrameDecoder,
        read_identity: Callable[[], StreamIdentity],
        group: str,
        metrics: SinkMetrics,
        now: clock.Clock = clock.utc_now,
    ) -> None:
        """A sink.

        Args:
            store: TimescaleDB.
            decoder: messages to rows.
            read_identity: asks Kafka for the ids of its cluster and of the telemetry topics.
            group: consumer group that the offsets belong to.
            metrics: figures.
            now: our clock.
        """
        self._store = store
        self._decoder = decoder
        self._read_identity = read_identity
        self._group = group
        self._metrics = metrics
        self._now = now
        self._positions = Positions()
        self._registry = RegistryCache(store.load_timeline)
        self._sources: dict[int, OdometerSource] = {}
        self._identity = StreamIdentity("", {})
        self._is_stale = False

    def assigned(self, partitions: Sequence[TopicPartition]) -> Sequence[TopicPartition]:
        """Start every partition where TimescaleDB says that it stands, or at its beginning.

        Raises:
            StreamMismatchError: the stored offsets belong to another cluster or topic.
            UnavailableError: Kafka or TimescaleDB does not answer.
        """
        self._identity = self._read_identity()
        stored = self._store.read_offsets(self._group)
        keys = [(partition.topic, partition.partition) for partition in partitions]
        check_identity(self._group, stored, self._identity, keys)
        self._positions.assign(stored, keys)
        for partition, key in zip(partitions, keys, strict=True):
            next_offset = self._positions.next_offset(key)
            partition.offset = OFFSET_BEGINNING if next_offset is None else next_offset
        return partitions

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Forget partitions; what they need to go on is in TimescaleDB."""
        self._positions.revoke((partition.topic, partition.partition) for partition in partitions)

    def handle(self, messages: Sequence[Message]) -> None:
        """Store what these messages hold, and their offsets with it, in one transaction.

        Raises:
            UnavailableError: TimescaleDB is down or busy.
            StreamGapError: messages are missing in the stream.
            SinkStoppedError: TimescaleDB refuses for good.
        """
        started = time.perf_counter()
        for _ in range(_ATTEMPTS):
            try:
                if self._is_stale:
                    self._positions.reload(self._store.read_offsets(self._group))
                    self._is_stale = False
                pending = self._positions.pending(messages)
                if not pending:
                    return
                outcome = self._settle(pending)
            except FencedError:
                self._metrics.fenced()
                log.warning("sink.fenced", group=self._group)
                self._is_stale = True
            except RegistryChangedError:
                self._registry.forget()
            except UnavailableError:
                # the commit may have taken effect: ask before storing anything else
                self._is_stale = True
                raise
            else:
                self._report(pending, outcome, time.perf_counter() - started)
                return
        message = f"the batch met another sink or a changed registry {_ATTEMPTS} times in a row"
        raise StoreUnavailableError(message)

    def close(self) -> None:
        """Give the connection back."""
        self._store.close()

    def _settle(self, messages: Sequence[Message]) -> _Outcome:
        """One transaction: all effects of the messages, or none."""
        self._registry.refresh(imeis_of(messages))
        decoded = self._decoder.decode(messages, self._registry, self._sources)
        moves = self._positions.moves(messages, self._identity)
        outcome = _Outcome()
        with self._store.transaction() as transaction:
            transaction.advance(self._group, moves)
            transaction.choose_odometers(decoded.chosen_sources)
            sources = {**self._sources, **decoded.chosen_sources}
            self._insert(transaction, messages, decoded, sources, outcome)
            transaction.park(self._group, outcome.rejects)
            transaction.touch_days(outcome.rows_by_day)
        self._positions.settle(moves)
        self._sources = sources
        return outcome

    def _insert(
        self,
        transaction: SinkTransaction,
        messages: Sequence[Message],
        decoded: DecodedBatch,
        sources: OdometerSources,
        outcome: _Outcome,
    ) -> None:
        """Store rows; if PostgreSQL refuses one, halve the messages until the guilty one stands alone."""
        try:
            outcome.add(decoded, transaction.insert(decoded))
            return
        except RowRefusedError as error:
            if len(messages) == 1:
                detail = f"PostgreSQL refused a row of it with SQLSTATE {error.sqlstate}"
                outcome.rejects.append(reject(messages[0], "refused_by_database", detail))
                return
        middle = len(messages) // 2
        for half in (messages[:middle], messages[middle:]):
            again = self._decoder.decode(half, self._registry, sources)
            self._insert(transaction, half, again, sources, outcome)

    def _report(self, messages: Sequence[Message], outcome: _Outcome, seconds: float) -> None:
        reasons = Counter(reject.reason for reject in outcome.rejects)
        self._metrics.settled(
            frames=len(messages),
            records=outcome.record_count,
            duplicates=outcome.duplicate_count,
            dead_letters=reasons,
            seconds=seconds,
            received_ms=outcome.received_ms,
            now_ms=clock.epoch_ms(self._now()),
        )
        if reasons:
            log.warning("sink.dead_letters", reasons=dict(reasons))
        log.debug(
            "sink.batch",
            frames=len(messages),
            records=outcome.record_count,
            duplicates=outcome.duplicate_count,
            seconds=round(seconds, 4),
        )
