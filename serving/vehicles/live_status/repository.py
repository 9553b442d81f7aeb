"""Live state in Redis: what `ingest.live` and `warehouse.publish` wrote, read in one round trip.

`live:{vin}` is a hash of signals, each `"<device time in ms>|<json>"`; `scores:{vin}` is one JSON document
(`serving.vehicles.scores`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import orjson
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from serving.consent.gate import VehicleAccess
from serving.stores import answering
from serving.vehicles.scores import Scores, parse_scores
from telematics.clock import from_epoch_ms
from telematics.names import live_key, scores_key

_log = structlog.get_logger("serving.live_status")


@dataclass(frozen=True, slots=True)
class Signal:
    """A value and the device's time of it."""

    observed_at: datetime
    value: Any


@dataclass(frozen=True, slots=True)
class LiveState:
    """A vehicle's newest signals and its published daily figures."""

    signals: Mapping[str, Signal] = field(default_factory=dict)
    scores: Scores = field(default_factory=Scores)


class LiveStateReader(Protocol):
    """Reads live state."""

    async def read(self, access: VehicleAccess) -> LiveState:
        """The vehicle's state; empty where nothing came yet.

        Raises:
            StoreUnavailableError: the state cannot be read.
        """


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_odometer(value: Any) -> bool:
    return isinstance(value, dict) and _is_number(value.get("miles"))


def _is_position(value: Any) -> bool:
    accuracy_m = value.get("accuracy_m") if isinstance(value, dict) else ""
    return accuracy_m is None or _is_number(accuracy_m)


def _is_codes(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(code, str) for code in value)


def _always(_: Any) -> bool:
    return True


_IS_WELL_FORMED: Mapping[str, Callable[[Any], bool]] = {
    "battery_voltage": _is_number,
    "dtc_codes": _is_codes,
    "odometer": _is_odometer,
    "position": _is_position,
}
"""What answers are built from; other signals are shown nowhere yet."""


def parse_signals(stored: Mapping[bytes, bytes]) -> dict[str, Signal]:
    """The hash's fields; one that is damaged is left out and counted in the log, the others still serve."""
    signals = {}
    for name, text in stored.items():
        time_ms, _, document = text.partition(b"|")
        try:
            signal = Signal(from_epoch_ms(int(time_ms)), orjson.loads(document))
            known = name.decode()
        except (ValueError, OverflowError):
            _log.warning("damaged_live_signal", signal=name.decode(errors="replace"))
            continue
        if _IS_WELL_FORMED.get(known, _always)(signal.value):
            signals[known] = signal
        else:
            _log.warning("damaged_live_signal", signal=known)
    return signals


class StoredLiveState:
    """Live state in Redis, never cached here: it is as new as the last acknowledged record."""

    def __init__(self, redis: "Redis") -> None:
        self._redis = redis

    async def read(self, access: VehicleAccess) -> LiveState:
        """See `LiveStateReader`."""
        async with answering("Valkey", RedisError, OSError):
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.hgetall(live_key(access.vin))
            pipeline.get(scores_key(access.vin))
            signals, scores = await pipeline.execute()
        return LiveState(parse_signals(signals), parse_scores(scores))
