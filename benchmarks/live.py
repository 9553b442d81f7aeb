"""`piston bench live`: messages to live state and alert memories in Valkey, against the reference reader.

The frames are those of a fleet that drives (`benchmarks.driving`), 1.4 records each, and a batch holds one of
every device: the least that a batch can share. Both writers do the whole of a batch, `LiveWriter.handle`:
reading the messages, measuring, alert rules, JSON, the scripts' round trips, the offsets. Figures count the
processor time of this process; the server's is reported apart. Kafka is left out: what its client costs is
the same for both, and `piston bench end-to-end` has it.

The reference is `ReferenceReader`, the readable one of this project: about what a careful program in plain
Python costs. Both must leave the same behind in Valkey, or there are no figures.
"""

import gc
import logging
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import orjson
import redis
import structlog
from confluent_kafka import Message, TopicPartition
from prometheus_client import CollectorRegistry

from benchmarks.driving import FRAMES_EACH, drive_frames
from benchmarks.measuring import Figures, Report, spread
from benchmarks.processor import family_seconds
from benchmarks.sink import build_registry
from benchmarks.workload import DEVICE_COUNT, Traffic
from ingest.alerts.alert import Alert
from ingest.live.compiled_reader import CompiledReader
from ingest.live.metrics import LiveMetrics
from ingest.live.reading import BatchReader, ReferenceReader
from ingest.live.service import LiveWriter
from ingest.live.store import LiveStore, connect
from ingest.registry.timeline import InstallationTimeline
from ingest.registry_cache import RegistryCache
from ingest.stream.identity import StreamIdentity
from ingest.stream.log_spans import LogSpan
from ingest.stream.messages import Transport, encode_headers
from stack import preflight
from stack.account import server_account
from stack.control import Stack
from stack.servers.server import Server
from stack.servers.valkey import Valkey
from telematics.names import Origin, Topic
from telematics.settings import Environment, Settings, load_settings

_TOPIC: Final = Topic.AVL_FRAMES.value
_PARTITIONS: Final = 12
_START_MS: Final = 1_741_953_600_000  # 2025-03-14T12:00Z
_RECEIVED_AT_MS: Final = _START_MS + 86_400_000
_LAGGING: Final = 4
"""Batches in one when the writer lags."""
_ROUND_FRAMES: Final = 8
"""Frames of each device in a round."""

Batch = Sequence[Message]


def run(rounds: int = 5) -> Report:
    """Measure; less than a minute.

    Args:
        rounds: measurements of each figure.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    frames = drive_frames(
        Traffic.LIVE, DEVICE_COUNT, _START_MS, (rounds + 1) * _ROUND_FRAMES // FRAMES_EACH + 1
    )
    registry = build_registry(list(frames))
    batches = [_batch(frames, number) for number in range((rounds + 1) * _ROUND_FRAMES)]
    with own_valkey() as (settings, server_id):
        compiled = _measure(settings, CompiledReader, registry, batches, rounds, server_id)
        left_behind = _contents(settings)
        lagging = _measure(settings, CompiledReader, registry, _joined(batches), rounds, server_id)
        reference = _measure(settings, ReferenceReader, registry, batches, rounds, server_id)
        if _contents(settings) != left_behind:
            message = "the two readers left different states behind in Valkey"
            raise RuntimeError(message)
    figures: Figures = {
        "microseconds_per_record": median(compiled.client_us),
        "server_microseconds_per_record": median(compiled.server_us),
        "lagging_microseconds_per_record": median(lagging.client_us),
        "lagging_server_microseconds_per_record": median(lagging.server_us),
        "reference_microseconds_per_record": median(reference.client_us),
        "ratio_to_reference": median(reference.client_us) / median(compiled.client_us),
    }
    return Report(
        "live",
        figures,
        (
            f"batches of {DEVICE_COUNT:,} frames, one of every device; {rounds} rounds of {_ROUND_FRAMES}; "
            f"{spread(compiled.client_us)}; the reference {spread(reference.client_us)}",
            f"lagging: {_LAGGING} batches in one",
        ),
    )


class _Figures:
    """Microseconds a record, round by round."""

    def __init__(self) -> None:
        self.client_us: list[float] = []
        self.server_us: list[float] = []


class _Silence:
    """Takes no alerts: a fleet that drives quietly raises none."""

    def publish(self, alerts: Sequence[Alert]) -> None:
        """See `AlertPublisher`.

        Raises:
            RuntimeError: there are some.
        """
        if alerts:
            message = f"{len(alerts)} alerts, first {alerts[0].kind}: this fleet should raise none"
            raise RuntimeError(message)


def _measure(
    settings: Settings,
    make: Callable[..., BatchReader],
    registry: InstallationTimeline,
    batches: Sequence[Batch],
    rounds: int,
    server_id: int,
) -> _Figures:
    """Handle all batches from an empty server on; the first round fills the caches and is not counted."""
    client, counts = connect(settings), CollectorRegistry()
    client.flushall()
    store = LiveStore(client)
    writer = LiveWriter(
        store,
        make(store.recall, _no_origins),
        RegistryCache(lambda _: registry),
        _Silence(),
        lambda: StreamIdentity("bench", {_TOPIC: "bench"}),
        lambda partitions: dict.fromkeys(partitions, LogSpan(0, 1 << 40)),
        LiveMetrics(counts),
    )
    writer.assigned([TopicPartition(_TOPIC, number) for number in range(_PARTITIONS)])
    found = _Figures()
    size = len(batches) // (rounds + 1)
    for number in range(rounds + 1):
        gc.collect()
        records = counts.get_sample_value("piston_live_records_total") or 0.0
        client_s, server_s = time.process_time(), family_seconds(server_id)
        for batch in batches[number * size : (number + 1) * size]:
            writer.handle(batch)
        client_s, server_s = time.process_time() - client_s, family_seconds(server_id) - server_s
        records = (counts.get_sample_value("piston_live_records_total") or 0.0) - records
        if number:
            found.client_us.append(client_s / records * 1e6)
            found.server_us.append(server_s / records * 1e6)
    client.close()
    return found


def _no_origins(_vins: object) -> Mapping[str, Origin]:
    return {}


def _batch(frames: Mapping[str, Sequence[bytes]], number: int) -> Batch:
    """Frame `number` of every device, as a consumer delivers them."""
    return [
        Message(
            topic=_TOPIC,
            partition=place % _PARTITIONS,
            offset=number * len(frames) + place // _PARTITIONS,
            key=imei.encode("ascii"),
            value=of_device[number],
            headers=encode_headers(_RECEIVED_AT_MS + number, Transport.TCP),
        )
        for place, (imei, of_device) in enumerate(frames.items())
    ]


def _joined(batches: Sequence[Batch]) -> list[Batch]:
    return [
        [message for batch in batches[number : number + _LAGGING] for message in batch]
        for number in range(0, len(batches), _LAGGING)
    ]


def _contents(settings: Settings) -> dict[bytes, Any]:
    """Everything that a server holds but the offsets."""
    client = connect(settings)
    keys = [key for key in client.scan_iter(count=1000) if not key.startswith(b"live_offsets")]
    contents = {key: _value(client, key) for key in keys}
    client.close()
    return contents


def _value(client: redis.Redis, key: bytes) -> Any:
    if key.startswith(b"live:"):
        return client.hgetall(key)
    stored: Any = client.get(key)
    head, _, state = stored.rpartition(b"|")
    return head, orjson.loads(state)


class _LiveTier(Stack):
    """A stack of one server."""

    def servers(self) -> tuple[Server, ...]:
        """Valkey."""
        return tuple(server for server in super().servers() if isinstance(server, Valkey))


@contextmanager
def own_valkey() -> Iterator[tuple[Settings, int]]:
    """Settings of a running Valkey that nothing else uses, and its process id; gone afterwards.

    Raises:
        StackError: it cannot be installed or started.
    """
    usual = load_settings()
    folder = Path(tempfile.mkdtemp(prefix="piston-bench-"))
    folder.chmod(0o755)  # the server's own user has to reach it
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    settings = usual.model_copy(
        update={
            "environment": Environment.TEST,
            "programs_dir": usual.programs,
            "data_dir": folder,
            "host": "127.0.0.1",
            "valkey_port": port,
        }
    )
    stack = _LiveTier(settings)
    before = os.umask(0o022)
    try:
        preflight.make_folders(stack.layout, server_account(settings))
        with stack.exclusively():
            stack.up(lambda _: None, is_tied=True)
        client = connect(settings)
        process_id = int(client.info("server")["process_id"])
        client.close()
        yield settings, process_id
    finally:
        os.umask(before)
        with stack.exclusively():
            stack.down(lambda _: None, services_only=False)
        shutil.rmtree(folder, ignore_errors=True)
