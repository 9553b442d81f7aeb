"""Reads what every vehicle's document is made of, then writes the documents.

Everything is read before anything is written: when a query fails, the last good figures stay.
"""

import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Final, TypeVar

import orjson
import redis
from clickhouse_connect.driver.client import Client

from telematics.errors import UnavailableError
from telematics.names import ANALYTICS_DATABASE, scores_key
from telematics.settings import Settings
from warehouse import clients
from warehouse.publish.document import build_summary
from warehouse.publish.driving import read_odometers, read_weeks
from warehouse.publish.maintenance import read_health, read_maintenance

Item = TypeVar("Item")

_PIPELINE_KEYS = 1_000
_PUBLISHED: Final = "published:vins"
"""Redis set: the vehicles that have a document from here."""


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
    withdrawn_count: int = 0
    """Vehicles that had a document, and of which the warehouse has nothing any more: a corrected pairing."""


def publish_summaries(settings: Settings, as_of: date) -> PublishReport:
    """Write `scores:{vin}` for every vehicle that the warehouse knows on or before `as_of`.

    Known is what has driven, and what a model has scored. Each vehicle's document is replaced as a whole. One
    that was published and of which the warehouse holds nothing any more, of any day, loses its document: its
    records turned out to be another vehicle's.

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
    withdrawn = _write(settings, documents, vins)
    return PublishReport(
        as_of=as_of,
        vehicle_count=len(vins),
        seconds=time.monotonic() - started,
        predicted_count=len(maintenance.by_vin),
        unreadable_count=maintenance.unreadable_count + health.unreadable_count,
        withdrawn_count=withdrawn,
    )


def _write(settings: Settings, documents: Iterable[tuple[str, bytes]], vins: Collection[str]) -> int:
    """Write the documents and withdraw those of vehicles that are gone; returns how many were withdrawn."""
    connection = redis.Redis.from_url(
        settings.valkey_url(), socket_timeout=30, socket_connect_timeout=10, decode_responses=True
    )
    try:
        for part in _batches(documents, _PIPELINE_KEYS):
            connection.mset(dict(part))
        published = {str(vin) for vin in connection.smembers(_PUBLISHED)}
        # no vehicle at all is a warehouse that is not built, and no correction
        gone = _unheard_of(settings, published.difference(vins)) if vins else []
        pipeline = connection.pipeline()
        for vin in gone:
            pipeline.delete(scores_key(vin))
            pipeline.srem(_PUBLISHED, vin)
        for names in _batches(vins, _PIPELINE_KEYS):
            pipeline.sadd(_PUBLISHED, *names)
        pipeline.execute()
    except redis.RedisError as error:
        message = (
            f"Redis at {settings.host}:{settings.valkey_port} does not take the summaries "
            f"({type(error).__name__}); see `piston status`, or check PISTON_VALKEY_PORT and its password"
        )
        raise UnavailableError(message) from error
    finally:
        connection.close()
    return len(gone)


def _unheard_of(settings: Settings, vins: Collection[str]) -> list[str]:
    """Those of the vehicles of which no day is left, not even one after what was asked for."""
    if not vins:
        return []
    with clients.clickhouse(settings) as client:
        return sorted(set(vins) - _heard_of(client, vins))


def _heard_of(client: Client, vins: Collection[str]) -> set[str]:
    found = client.query(
        f"select distinct vin from {ANALYTICS_DATABASE}.vehicle_analytics "
        "where vin in {vins:Array(String)}",
        parameters={"vins": sorted(vins)},
    )
    return {vin for (vin,) in found.result_rows}


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
