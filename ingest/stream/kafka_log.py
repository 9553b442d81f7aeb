"""librdkafka's complaints as log lines, few enough to read.

While a broker is down the client reports every attempt, several a second. One line for each kind of
error in ten seconds says the same.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import structlog
from confluent_kafka import KafkaError

log = structlog.get_logger()

_QUIET_S: Final = 10.0


class KafkaErrorLog:
    """An `error_cb` that logs each error code at most once every ten seconds."""

    def __init__(self, client: str, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock_s = clock_s
        self._last: dict[str, float] = {}
        self._silent: Counter[str] = Counter()

    def __call__(self, error: KafkaError) -> None:
        """Log the error, or count it for the next line."""
        code, now = error.name(), self._clock_s()
        if not error.fatal() and now - self._last.get(code, -_QUIET_S) < _QUIET_S:
            self._silent[code] += 1
            return
        self._last[code] = now
        log.warning(
            "kafka.client",
            client=self._client,
            code=code,
            fatal=error.fatal(),
            repeated=self._silent.pop(code, 0),
        )
