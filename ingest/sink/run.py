"""`piston sink` as a process: settings in, nothing out until it is told to stop."""

import threading
from functools import partial
from typing import Final

import structlog
from prometheus_client import start_http_server

from ingest.collecting import spare_collector
from ingest.device_time import DeviceTimes
from ingest.sink.decoding import FrameDecoder, PythonFrameDecoder
from ingest.sink.metrics import SinkMetrics
from ingest.sink.service import Sink
from ingest.sink.store import TelemetryStore
from ingest.stream.consumer import BatchConsumer, ConsumerOptions
from ingest.stream.identity import read_identity
from telematics.names import SINK_GROUP, Topic
from telematics.settings import Settings

log = structlog.get_logger()

TOPICS: Final = (Topic.AVL_FRAMES.value, Topic.READINGS.value)
METRICS_PORT_OFFSET: Final = 1
"""The sink's metrics are on `metrics_port` + this."""


def make_decoder(times: DeviceTimes, *, is_reference: bool) -> FrameDecoder:
    """The batch decoder, which compiles or loads its machine code here, or the plain reference."""
    if is_reference:
        return PythonFrameDecoder(times)
    # imported here: the reference works without numba
    from ingest.sink.batch_decoding import BatchFrameDecoder

    return BatchFrameDecoder(times)


def run_sink(settings: Settings, stop: threading.Event, *, is_reference: bool = False) -> None:
    """Consume until `stop` is set; the transaction in hand is finished and the group left.

    Args:
        settings: servers, batch size.
        stop: ends the loop.
        is_reference: decode with the plain reference instead of compiled code.

    Raises:
        PistonError: the sink cannot go on; the text says what to do.
    """
    metrics = SinkMetrics()
    if settings.metrics_port:
        start_http_server(settings.metrics_port + METRICS_PORT_OFFSET, settings.host)
    sink = Sink(
        TelemetryStore(settings),
        make_decoder(DeviceTimes.of(settings), is_reference=is_reference),
        partial(read_identity, settings.kafka_bootstrap, TOPICS),
        SINK_GROUP,
        metrics,
    )
    options = ConsumerOptions(
        bootstrap=settings.kafka_bootstrap,
        group=SINK_GROUP,
        topics=TOPICS,
        batch_size=settings.sink_batch_frames,
        linger_s=settings.sink_linger_s,
        on_missing_offset="error",
    )
    spare_collector()
    log.info("sink.started", group=SINK_GROUP, batch_frames=settings.sink_batch_frames)
    try:
        BatchConsumer(options, sink, stop).run()
    finally:
        sink.close()
        log.info("sink.stopped", group=SINK_GROUP)
