"""`piston live` as a process: settings in, nothing out until it is told to stop.

Two consumers in one process, each with a thread and a group of its own: the live writer, and the writer of
alerts to ClickHouse (`ingest.alerts.service` says why here). When one ends, for whatever reason, so does the
other.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import structlog
from prometheus_client import start_http_server

from ingest.alerts.history import AlertHistory
from ingest.alerts.publisher import KafkaAlertPublisher
from ingest.alerts.service import AlertMetrics, AlertWriter
from ingest.collecting import spare_collector
from ingest.device_time import DeviceTimes
from ingest.live.compiled_reader import CompiledReader
from ingest.live.metrics import LiveMetrics
from ingest.live.service import LiveWriter
from ingest.live.store import LiveStore, connect
from ingest.live.vehicle_origins import VehicleOrigins
from ingest.registry_cache import RegistryCache, RegistryReader
from ingest.stream.consumer import BatchConsumer, ConsumerOptions
from ingest.stream.identity import read_identity
from ingest.stream.log_spans import read_spans
from telematics.names import ALERTS_GROUP, LIVE_GROUP, Topic
from telematics.settings import Settings

log = structlog.get_logger()

TOPICS: Final = (Topic.AVL_FRAMES.value, Topic.READINGS.value)
METRICS_PORT_OFFSET: Final = 2
"""The live writer's metrics are on `metrics_port` + this."""
_BATCH_FRAMES: Final = 4000
"""The linger ends a batch before that, unless we lag: then many frames of a vehicle come at once, of which
only the newest is written, and each costs less."""
_LINGER_S: Final = 0.05
"""A lone frame waits this long for company. A batch costs about a millisecond of processor time whatever it
holds, and a second is promised: shorter would make everything on a busy machine later."""
_BUSY_LINGER_S: Final = 0.2
"""From some thousand frames a second on: a record then costs half as much, and is fresh enough."""
_ALERTS_LINGER_S: Final = 0.5
"""ClickHouse wants few inserts with many rows."""


def run_live(settings: Settings, stop: threading.Event) -> None:
    """Consume until `stop` is set; the batch in hand is finished and the groups left.

    Raises:
        PistonError: a writer cannot go on; the text says what to do.
    """
    metrics, alert_metrics = LiveMetrics(), AlertMetrics()
    if settings.metrics_port:
        start_http_server(settings.metrics_port + METRICS_PORT_OFFSET, settings.host)
    reader = RegistryReader(settings, "live")
    store = LiveStore(connect(settings))
    publisher = KafkaAlertPublisher(settings.kafka_bootstrap)
    origins = VehicleOrigins(settings)
    writer = LiveWriter(
        store,
        CompiledReader(store.recall, origins.read, DeviceTimes.of(settings).earliest_ms),
        RegistryCache(reader.load),
        publisher,
        partial(read_identity, settings.kafka_bootstrap, TOPICS),
        partial(read_spans, settings.kafka_bootstrap),
        metrics,
    )
    options = ConsumerOptions(
        bootstrap=settings.kafka_bootstrap,
        group=LIVE_GROUP,
        topics=TOPICS,
        batch_size=_BATCH_FRAMES,
        linger_s=_LINGER_S,
        busy_linger_s=_BUSY_LINGER_S,
        commit_to_kafka=True,  # for those who watch the group's lag; Redis has the offsets that count
        # where to start is always said; what goes missing on the way is looked at when starting anew
        on_missing_offset="error",
    )
    spare_collector()
    log.info("live.started", group=LIVE_GROUP)
    try:
        with _alert_writer(settings, alert_metrics, stop):
            BatchConsumer(options, writer, stop).run()
    finally:
        publisher.close()
        reader.close()
        origins.close()
        store.close()
        log.info("live.stopped", group=LIVE_GROUP)


@contextmanager
def _alert_writer(settings: Settings, metrics: AlertMetrics, stop: threading.Event) -> Iterator[None]:
    """Run the alert writer beside the block; its error, if it had one, is raised at the block's end."""
    failures: list[BaseException] = []
    history = AlertHistory(settings)
    options = ConsumerOptions(
        bootstrap=settings.kafka_bootstrap,
        group=ALERTS_GROUP,
        topics=(Topic.ALERTS.value,),
        linger_s=_ALERTS_LINGER_S,
        commit_to_kafka=True,
        on_missing_offset="earliest",
    )

    def run() -> None:
        try:
            BatchConsumer(options, AlertWriter(history, metrics), stop).run()
        except BaseException as error:  # carried to the other thread
            failures.append(error)
            stop.set()
        finally:
            history.close()

    thread = threading.Thread(target=run, name="alerts")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if failures:
        raise failures[0]
