"""The alert writer on the session's ClickHouse, fed by hand."""

from collections.abc import Iterator

import orjson
import pytest
from prometheus_client import CollectorRegistry

from ingest.alerts.alert import Alert, Kind, encode
from ingest.alerts.history import TABLE, AlertHistory
from ingest.alerts.service import AlertMetrics, AlertWriter
from telematics.clock import from_epoch_ms
from telematics.errors import UnavailableError
from telematics.names import Topic
from telematics.settings import Settings
from tests.ingest.alerts.making import make_alert
from tests.ingest.making import NOON_MS, FakeMessage, fresh_imei, fresh_vin
from warehouse.clients import open_clickhouse

pytestmark = pytest.mark.integration

MONTH_MS = 31 * 86_400_000


@pytest.fixture
def history(stack: Settings) -> Iterator[AlertHistory]:
    history = AlertHistory(stack)
    yield history
    history.close()


@pytest.fixture
def vehicle() -> dict[str, str]:
    return {"vin": fresh_vin(), "device_id": fresh_imei()}


def stored(settings: Settings, vehicle: dict[str, str]) -> list[tuple[object, ...]]:
    """Rows of the vehicle, without the merge that `final` would do."""
    client = open_clickhouse(settings)
    rows = client.query(
        "select alert_id, time, received_at, kind, code, severity, data, origin, stream_position, device_id"
        f" from {TABLE} where vin = {{vin:String}} order by time, code",
        parameters={"vin": vehicle["vin"]},
    ).result_rows
    client.close()
    return list(rows)


def message(alert: Alert, offset: int = 0) -> FakeMessage:
    return FakeMessage(Topic.ALERTS, 0, offset, alert.vin.encode(), encode(alert), None)


def test_an_alert_is_a_row(stack: Settings, history: AlertHistory, vehicle: dict[str, str]) -> None:
    alert = make_alert(**vehicle, is_late=True)
    assert history.store([alert]) == 1
    ((alert_id, time, received_at, *rest),) = stored(stack, vehicle)
    assert alert_id == alert.alert_id
    assert str(time).startswith("2025-03-14 12:00:00")
    assert received_at == from_epoch_ms(alert.received_at_ms).replace(tzinfo=received_at.tzinfo)  # type: ignore[attr-defined]
    assert rest[:3] == ["dtc_new", "P0300", "warning"]
    assert orjson.loads(str(rest[3])) == {"codes": ["P0300"], "is_late": True}
    assert rest[4:] == ["recorded", 256, vehicle["device_id"]]


def test_alerts_that_come_again_are_left_out_also_of_one_batch(
    stack: Settings, history: AlertHistory, vehicle: dict[str, str]
) -> None:
    alerts = [make_alert(**vehicle, code=code) for code in ("P0001", "P0002")]
    assert history.store([*alerts, *alerts]) == 2
    again = [*alerts, make_alert(**vehicle, code="P0003", time_ms=NOON_MS + 1)]
    assert history.store(again) == 1
    assert history.store(again) == 0
    assert [row[4] for row in stored(stack, vehicle)] == ["P0001", "P0002", "P0003"]


def test_a_batch_may_hold_alerts_of_many_years(
    stack: Settings, history: AlertHistory, vehicle: dict[str, str]
) -> None:
    alerts = [make_alert(**vehicle, time_ms=1_100_000_000_000 + number * MONTH_MS) for number in range(150)]
    assert history.store(alerts) == 150
    assert history.store(alerts) == 0


def test_a_message_that_is_no_alert_is_counted_and_leaves_its_neighbours_alone(
    stack: Settings, history: AlertHistory, vehicle: dict[str, str]
) -> None:
    figures = CollectorRegistry()
    writer = AlertWriter(history, AlertMetrics(figures))
    alerts = [make_alert(**vehicle, kind=kind) for kind in (Kind.CRASH, Kind.TOWING)]
    garbage = FakeMessage(Topic.ALERTS, 0, 1, b"x", b"{}", None)
    writer.handle([message(alerts[0]), garbage, message(alerts[1], 2), message(alerts[1], 3)])
    assert len(stored(stack, vehicle)) == 2
    assert figures.get_sample_value("piston_alerts_malformed_total") == 1
    assert figures.get_sample_value("piston_alerts_stored_total") == 2
    assert figures.get_sample_value("piston_alerts_repeated_total") == 1


def test_while_clickhouse_is_away_the_batch_waits(stack: Settings, vehicle: dict[str, str]) -> None:
    away = AlertHistory(stack.model_copy(update={"clickhouse_http_port": stack.gateway_port}))
    with pytest.raises(UnavailableError, match="piston status"):
        away.store([make_alert(**vehicle)])
    away.close()
