"""How many rows stand at each stage of the road, and how far the consumers are."""

import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, NamedTuple

import psycopg
import redis
from clickhouse_connect.driver.client import Client

from ingest.stream.log_spans import partitions_of, read_spans
from telematics.errors import UnavailableError
from telematics.names import SINK_GROUP, Topic
from telematics.settings import Settings

Connection = psycopg.Connection[Any]

_POLL_S = 0.5
_KAFKA_TIMEOUT_S = 10.0


class Stage(NamedTuple):
    """One stage of the road and what stands there."""

    name: str
    quantity: int
    unit: str


class DayRange(NamedTuple):
    """Whole UTC days, half-open."""

    first: date
    until: date


def kafka_frames(settings: Settings) -> int:
    """Frames ever written to the topic (end offsets, so retention does not lower it)."""
    spans = read_spans(settings.kafka_bootstrap, partitions_of(Topic.AVL_FRAMES), _KAFKA_TIMEOUT_S)
    return sum(span.end for span in spans.values())


def sunk_frames(hot: Connection) -> int:
    """Frames whose effect is stored."""
    row = hot.execute(
        "select coalesce(sum(next_offset), 0)::bigint from stream_offsets"
        " where consumer_group = %s and topic = %s",
        [SINK_GROUP, Topic.AVL_FRAMES],
    ).fetchone()
    return int(row[0]) if row else 0


def wait_for_sink(settings: Settings, hot: Connection, say: Callable[[str], None], patience_s: float) -> None:
    """Wait until the sink has stored every frame that Kafka holds; says how far it is.

    Raises:
        UnavailableError: it makes no progress for `patience_s` seconds.
    """
    target, before, since = kafka_frames(settings), -1, time.monotonic()
    while (now := sunk_frames(hot)) < target:
        if now != before:
            before, since = now, time.monotonic()
            say(f"sink: {now:,} of {target:,} frames stored")
        elif time.monotonic() - since > patience_s:
            message = (
                f"the sink stands still at {now:,} of {target:,} frames; see `piston status` and its log"
            )
            raise UnavailableError(message)
        time.sleep(_POLL_S)


def stages(settings: Settings, hot: Connection, warm: Client) -> list[Stage]:
    """Rows at each stage, from the stream to what partners read."""

    def count_hot(table: str) -> int:
        row = hot.execute(f"select count(*) from {table}").fetchone()
        return int(row[0]) if row else 0

    def count_warm(table: str) -> int:
        return int(warm.query(f"select count() from analytics.{table}").result_rows[0][0])

    with redis.Redis.from_url(settings.valkey_url()) as live:
        live_states = sum(1 for _ in live.scan_iter("live:*", count=1000))
        published = sum(1 for _ in live.scan_iter("scores:*", count=1000))
    return [
        Stage("Kafka telemetry.avl_frames.v1", kafka_frames(settings), "frames"),
        Stage("TimescaleDB telemetry (hot)", count_hot("telemetry"), "rows"),
        Stage("TimescaleDB telemetry_hourly", count_hot("telemetry_hourly"), "rows"),
        Stage("TimescaleDB dead_letters", count_hot("dead_letters"), "messages"),
        Stage("ClickHouse telemetry (warm)", count_warm("telemetry"), "rows"),
        Stage("ClickHouse trips", count_warm("trips"), "trips"),
        Stage("ClickHouse vehicle_analytics", count_warm("vehicle_analytics"), "vehicle-days"),
        Stage("ClickHouse odometer_readings", count_warm("odometer_readings"), "readings"),
        Stage("ClickHouse component_day_signals", count_warm("component_day_signals"), "vehicle-days"),
        Stage("ClickHouse ftr_component_days", count_warm("ftr_component_days"), "vehicle-days"),
        Stage("ClickHouse maintenance_predictions", count_warm("maintenance_predictions"), "predictions"),
        Stage("Valkey live:{vin}", live_states, "vehicles"),
        Stage("Valkey scores:{vin}", published, "vehicles"),
    ]


def days_to_build(hot: Connection, today: date) -> DayRange | None:
    """From the first day that is not (or no longer rightly) in the warehouse to today; None if all are."""
    row = hot.execute(
        "select min(day), max(day) from hot_days left join day_loads using (day)"
        " where day_loads.day is null or hot_days.version > day_loads.hot_version"
    ).fetchone()
    if row is None or row[0] is None:
        return None
    return DayRange(row[0], max(row[1], today) + timedelta(days=1))
