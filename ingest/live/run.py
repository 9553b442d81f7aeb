"""`piston live` as a process: settings in, nothing out until it is told to stop."""

import threading
from typing import Final

import structlog
from prometheus_client import start_http_server

from ingest.live.metrics import LiveMetrics
from ingest.live.service import LiveWriter
from ingest.live.store import LiveStore, connect
from ingest.registry_cache import RegistryCache, RegistryReader
from ingest.stream.consumer import BatchConsumer, ConsumerOptions
from telematics.names import LIVE_GROUP, Topic
from telematics.settings import Settings

log = structlog.get_logger()

TOPICS: Final = (Topic.AVL_FRAMES.value,)
METRICS_PORT_OFFSET: Final = 2
"""The live writer's metrics are on `metrics_port` + this."""
_BATCH_FRAMES: Final = 1000
_LINGER_S: Final = 0.02
"""Freshness comes first: a lone frame waits this long for company."""


def run_live(settings: Settings, stop: threading.Event) -> None:
    """Consume until `stop` is set; the batch in hand is finished and the group left.

    Raises:
        PistonError: the writer cannot go on; the text says what to do.
    """
    metrics = LiveMetrics()
    if settings.metrics_port:
        start_http_server(settings.metrics_port + METRICS_PORT_OFFSET, settings.host)
    reader = RegistryReader(settings, "live")
    store = LiveStore(connect(settings))
    options = ConsumerOptions(
        bootstrap=settings.kafka_bootstrap,
        group=LIVE_GROUP,
        topics=TOPICS,
        batch_size=_BATCH_FRAMES,
        linger_s=_LINGER_S,
        commit_to_kafka=True,
        on_missing_offset="earliest",
    )
    log.info("live.started", group=LIVE_GROUP)
    try:
        BatchConsumer(options, LiveWriter(store, RegistryCache(reader.load), metrics), stop).run()
    finally:
        reader.close()
        store.close()
        log.info("live.stopped", group=LIVE_GROUP)
