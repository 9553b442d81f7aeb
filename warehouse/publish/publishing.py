"""Reads what every vehicle's document is made of, then writes the documents.

Everything is read before anything is written: when a query fails, the last good figures stay.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice

import orjson
import redis

from telematics.errors import UnavailableError
from telematics.names import scores_key
from telematics.settings import Settings
from warehouse import clients
from warehouse.publish.document import build_summary
from warehouse.publish.driving import read_odometers, read_weeks
from warehouse.publish.maintenance import read_health, read_maintenance

_PIPELINE_KEYS = 1_000


@dataclass(frozen=True, slots=True)
class PublishReport:
    """One call of `publish_summaries`."""

    as_of: date
    vehicle_count: int
    seconds: float
    predicted_count: int = 0
    """Vehicles with predictions in their document."""
    unreadable_count: int = 0
    """Rows of predictions and health scores left out because they cannot be read; anything but 0 is a bug."""


def publish_summaries(settings: Settings, as_of: date) -> PublishReport:
    """Write `scores:{vin}` for every vehicle that the warehouse knows on or before `as_of`.

    Known is what has driven, and what a model has scored. Each vehicle's document is replaced as a whole.
    Vehicles that the warehouse does not know keep theirs.

    Raises:
        UnavailableError: ClickHouse or Redis does not answer; what is published stays.
    """
    started = time.monotonic()
    with clients.clickhouse(settings) as client:
        weeks = read_weeks(client, as_of)
        odometers = read_odometers(client, as_of)
        maintenance = read_maintenance(client, as_of)
        health = read_health(client, as_of)
    vins = sorted(weeks.keys() | maintenance.by_vin.keys() | health.by_vin.keys())
    documents = (
        (
            scores_key(vin),
            orjson.dumps(  # turns what is not a number into null, where `json` would write NaN
                build_summary(
                    vin,
                    weeks.get(vin),
                    odometers.get(vin),
                    maintenance=maintenance.by_vin.get(vin),
                    health=health.by_vin.get(vin),
                )
            ),
        )
        for vin in vins
    )
    _write(settings, documents)
    return PublishReport(
        as_of=as_of,
        vehicle_count=len(vins),
        seconds=time.monotonic() - started,
        predicted_count=len(maintenance.by_vin),
        unreadable_count=maintenance.unreadable_count + health.unreadable_count,
    )


def _write(settings: Settings, documents: Iterable[tuple[str, bytes]]) -> None:
    connection = redis.Redis.from_url(settings.valkey_url(), socket_timeout=30, socket_connect_timeout=10)
    try:
        for part in _batches(documents, _PIPELINE_KEYS):
            connection.mset(dict(part))
    except redis.RedisError as error:
        message = (
            f"Redis at {settings.host}:{settings.valkey_port} does not take the summaries "
            f"({type(error).__name__}); see `piston status`, or check PISTON_VALKEY_PORT and its password"
        )
        raise UnavailableError(message) from error
    finally:
        connection.close()


def _batches(items: Iterable[tuple[str, bytes]], size: int) -> Iterator[list[tuple[str, bytes]]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
