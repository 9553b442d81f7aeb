"""The live writer on a real server, fed with posted readings by hand."""

from collections.abc import Callable

import pytest
import redis
from prometheus_client import CollectorRegistry

from ingest.live.service import LiveWriter
from telematics.names import live_key
from tests.ingest.live.conftest import PARTITION, Loudspeaker, Registry
from tests.ingest.live.newest import newest
from tests.ingest.making import (
    NOON_MS,
    FakeMessage,
    fresh_vin,
    make_reading_message,
)

pytestmark = pytest.mark.integration


def reading(registry: Registry, offset: int, second: int, key: str, **fields: object) -> FakeMessage:
    return make_reading_message(
        {"timestamp": f"2025-03-14T12:00:{second:02d}Z", **fields},
        key=key.encode(),
        vin=registry.vin,
        offset=offset,
        partition=PARTITION,
        received_at_ms=NOON_MS + 60_000,
    )


def test_readings_and_frames_move_one_state_by_their_time(
    writer: LiveWriter,
    client: redis.Redis,
    registry: Registry,
    figures: CollectorRegistry,
    fuel: Callable[[int, int], FakeMessage],
) -> None:
    late = reading(registry, 0, 1, registry.imei, fuel_pct=90)
    newest_one = reading(registry, 1, 3, "partner:dealer", fuel_pct=40)
    writer.handle([fuel(60, NOON_MS + 2000), late])
    assert newest(client, registry) == b"%d|60" % (NOON_MS + 2000)
    writer.handle([newest_one, fuel(50, NOON_MS)])
    assert newest(client, registry) == b"%d|40.0" % (NOON_MS + 3000)
    assert figures.get_sample_value("piston_live_records_total") == 4
    assert figures.get_sample_value("piston_live_freshness_seconds_count") == 4


def test_readings_raise_alerts_once_each_by_what_their_sender_said_before(
    make_writer: Callable[..., LiveWriter], loudspeaker: Loudspeaker, registry: Registry
) -> None:
    messages = [
        reading(registry, 0, 1, "partner:dealer", dtc_codes=["P0300"]),
        reading(registry, 1, 2, "partner:dealer", dtc_codes=["P0300", "P0171"]),
        reading(registry, 2, 3, registry.imei, dtc_codes=["P0300"]),
    ]
    make_writer().handle(messages[:1])
    successor = make_writer()
    successor.handle(messages)
    successor.handle(messages)
    assert loudspeaker.names() == ["dtc_new P0300", "dtc_new P0171", "dtc_new P0300"]
    assert [alert.device_id for alert in loudspeaker.heard] == ["partner:dealer"] * 2 + [registry.imei]


def test_a_partners_reading_of_a_vehicle_that_is_not_registered_moves_nothing(
    writer: LiveWriter, client: redis.Redis, registry: Registry
) -> None:
    stranger = fresh_vin()
    message = make_reading_message(key=b"partner:dealer", vin=stranger, partition=PARTITION)
    writer.handle([message, make_reading_message(value=b"{}", offset=1, partition=PARTITION)])
    assert client.exists(live_key(stranger)) == 0
