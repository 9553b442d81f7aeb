"""The system under attack: a stack of its own with its services, supervised as in production.

Killing is SIGKILL to the process that the supervisor has started; bringing back is the supervisor's business.
"""

import os
import signal
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import date
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any, Final

import psycopg
import redis
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from ingest.live.store import connect as connect_valkey
from ingest.registry.models import Family, NewDevice
from ingest.registry.repository import connect, register_fleet
from ingest.stream.log_spans import partitions_of, read_spans
from migrations.apply import upgrade
from stack import control
from stack.layout import Layout
from stack.processes import family
from stack.supervision import Supervisor
from telematics import stream_position
from telematics.errors import UnavailableError
from telematics.names import (
    ALERTS_GROUP,
    LIVE_OFFSETS_KEY,
    SINK_GROUP,
    Origin,
    Topic,
    live_key,
)
from telematics.settings import Settings
from tests.ingest.campaign.judge import LiveState, Stores, parse_live_state
from tests.ingest.campaign.ledger import Identity
from tests.ingest.campaign.plan import Victim
from tests.ingest.campaign.traffic import Car
from tests.stack_fixture import make_data_dir, make_settings, remove_stack
from warehouse.clients import open_clickhouse

SERVICES: Final = ("sink", "live", "gateway")
OUTAGES: Final = (
    psycopg.OperationalError, redis.ConnectionError, redis.TimeoutError, redis.BusyLoadingError,
    KafkaException, ClickHouseError, UnavailableError, HTTPException, OSError,
)  # fmt: skip
"""What looking at a server that is down raises."""
_TIMEOUT_S: Final = 5.0
_LAST_WORDS: Final = 1_500

_ROWS: Final = """
    select device_id, floor(extract(epoch from time) * 1000)::bigint, event_id, content_hash from telemetry
"""
_PRESENT: Final = """
    select wanted.device_id, wanted.time_ms, wanted.event_id, wanted.content_hash,
        stored.stream_position, stored.xmin::text::bigint
    from unnest(%s::text[], %s::bigint[], %s::int[], %s::bigint[])
        as wanted (device_id, time_ms, event_id, content_hash)
    join telemetry as stored on stored.device_id = wanted.device_id
        and stored.time = timestamptz 'epoch' + wanted.time_ms * interval '1 millisecond'
        and stored.event_id = wanted.event_id and stored.content_hash = wanted.content_hash
"""


class System:
    """Piston with its servers."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._layout = Layout.of(settings)
        self._supervisor = Supervisor(self._layout)
        self._open = ExitStack()
        self._valkey = connect_valkey(settings)
        self._open.callback(self._valkey.close)
        self._admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap, "log_level": 0})

    def close(self) -> None:
        """Give connections back."""
        self._open.close()

    def register(self, cars: Sequence[Car]) -> None:
        """Make the cars' devices known."""
        devices = [NewDevice(car.imei, car.vin, Family.OBD, Origin.RECORDED) for car in cars]
        with connect(self.settings, "campaign") as connection:
            register_fleet(connection, devices, "campaign")

    # -- life and death ---------------------------------------------------------------------------

    def processes(self, victims: Sequence[Victim]) -> dict[Victim, list[int]]:
        """The victims' processes, each supervised one first."""
        states = self._supervisor.states()
        return {victim: family(pid) if (pid := states[victim].pid) else [] for victim in victims}

    @staticmethod
    def kill(processes: Mapping[Victim, Sequence[int]]) -> None:
        """SIGKILL, all at once as far as that goes."""
        for pids in processes.values():
            for number, pid in enumerate(pids):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    if not number:  # PostgreSQL's children come and go by themselves
                        raise

    @staticmethod
    def hold(pids: Sequence[int]) -> None:
        """Let processes stand still."""
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)

    @staticmethod
    def release(pids: Sequence[int]) -> None:
        """Let them go on."""
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def last_words(self, names: Collection[str] = (*SERVICES, *Victim)) -> str:
        """The ends of the logs."""
        texts = []
        for name in dict.fromkeys(names):
            path = self._layout.server_log(name)
            text = path.read_text(errors="replace") if path.exists() else "no log"
            texts.append(f"--- {name}\n{text[-_LAST_WORDS:]}")
        return "\n".join(texts)

    # -- what the stores hold ---------------------------------------------------------------------

    def present(self, identities: Collection[Identity]) -> dict[Identity, tuple[int, int]]:
        """Which of these records the hypertable holds: stream position and the transaction that put it."""
        columns = list(zip(*identities, strict=True)) or [(), (), (), ()]
        with self._timescale() as connection:
            rows = connection.execute(_PRESENT, [list(column) for column in columns]).fetchall()
        return {Identity(*row[:4]): (row[4], row[5]) for row in rows}

    def first_transaction_after_crash(self) -> int:
        """The next transaction id that PostgreSQL's recovery found in its log.

        The checkpoint that ends a recovery names it; a later checkpoint names a later one, which only makes
        fewer records count as stored after the crash.
        """
        with self._timescale() as connection:
            row = connection.execute("select next_xid from pg_control_checkpoint()").fetchone()
        assert row is not None
        return int(row[0].rpartition(":")[2])

    def live_offsets(self) -> dict[int, int]:
        """Partition → the next frame that the live state does not hold."""
        stored = self._valkey.hgetall(LIVE_OFFSETS_KEY)
        return {
            int(name.rpartition(b":")[2]): int(value.partition(b"|")[2])
            for name, value in stored.items()
            if name.startswith(Topic.AVL_FRAMES.encode())
        }

    def seen_ms(self, vin: str) -> int:
        """Device time of the newest record in a vehicle's live state; 0 without one."""
        state = parse_live_state(self._valkey.hgetall(live_key(vin)))
        return state["seen"][0] if "seen" in state else 0

    def is_warehouse_up(self) -> bool:
        """Whether ClickHouse answers; the other servers are heard when their data are looked at."""
        # its client would log every attempt
        connection = HTTPConnection(
            self.settings.host, self.settings.clickhouse_http_port, timeout=_TIMEOUT_S
        )
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == HTTPStatus.OK
        finally:
            connection.close()

    def is_settled(self) -> bool:
        """Whether sink, live writer and alert writer have taken all that is in their topics."""
        frames = self._ends(Topic.AVL_FRAMES)
        with self._timescale() as connection:
            stored = dict(
                connection.execute(
                    "select partition, next_offset from stream_offsets"
                    " where consumer_group = %s and topic = %s",
                    (SINK_GROUP, Topic.AVL_FRAMES),
                ).fetchall()
            )
        live = self.live_offsets()
        if any(stored.get(number, 0) < end or live.get(number, 0) < end for number, end in frames.items()):
            return False
        # only now is the topic of alerts complete
        alerts = self._ends(Topic.ALERTS)
        places = [TopicPartition(Topic.ALERTS, number) for number in alerts]
        wanted = [ConsumerGroupTopicPartitions(ALERTS_GROUP, places)]
        answer = self._admin.list_consumer_group_offsets(wanted)[ALERTS_GROUP].result(_TIMEOUT_S)
        committed = {place.partition: place.offset for place in answer.topic_partitions}
        return all(committed.get(number, 0) >= end for number, end in alerts.items() if end)

    def stores(self) -> Stores:
        """All that the judge looks at."""
        with self._timescale() as connection:
            rows = Counter(Identity(*row) for row in connection.execute(_ROWS))
            days: dict[date, int] = dict(connection.execute("select day, row_count from hot_days").fetchall())
            letters = connection.execute("select count(*) from dead_letters").fetchone()
        live: dict[str, LiveState] = {}
        for key in self._valkey.scan_iter(live_key("*")):
            live[key.decode().removeprefix(live_key(""))] = parse_live_state(self._valkey.hgetall(key))
        with self._clickhouse() as client:
            alerts = client.query("select alert_id, count() from analytics.alerts final group by 1")
        return Stores(
            rows=rows,
            rows_by_day=days,
            dead_letters=letters[0] if letters else 0,
            live=live,
            alerts=Counter(dict(alerts.result_rows)),
        )

    def unmerged_alerts(self) -> int:
        """Rows of `alerts` as they lie there, before ClickHouse has merged what came twice."""
        with self._clickhouse() as client:
            return int(client.query("select count() from analytics.alerts").result_rows[0][0])

    def _ends(self, topic: Topic) -> dict[int, int]:
        return {
            number: span.end
            for (_, number), span in read_spans(
                self.settings.kafka_bootstrap, partitions_of(topic), _TIMEOUT_S
            ).items()
        }

    def _timescale(self) -> "psycopg.Connection[Any]":
        return psycopg.connect(self.settings.timescale_dsn(), connect_timeout=5)

    @contextmanager
    def _clickhouse(self) -> Iterator[Client]:
        client = open_clickhouse(self.settings)
        try:
            yield client
        finally:
            client.close()


def place_of(position: int) -> tuple[int, int]:
    """Partition and offset of a stream position."""
    place = stream_position.unpack(position)
    return place.partition, place.offset


@contextmanager
def running_system() -> Iterator[System]:
    """A system with fresh data on free ports; call from the main thread, whose end is its end."""
    settings = make_settings(make_data_dir(), ask_version=False)
    try:
        control.up(settings, is_tied=True)
        upgrade(settings)
        control.start_services(settings, SERVICES)
        system = System(settings)
        try:
            yield system
        finally:
            system.close()
    finally:
        remove_stack(settings)
