"""ClickHouse's `analytics.alerts`: which alerts are there, and more of them."""

from collections.abc import Sequence
from datetime import UTC
from typing import Final

import clickhouse_connect
import orjson
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from ingest.alerts.alert import Alert
from telematics.clock import from_epoch_ms
from telematics.errors import UnavailableError
from telematics.names import ANALYTICS_DATABASE
from telematics.settings import Settings

TABLE: Final = f"{ANALYTICS_DATABASE}.alerts"

_CONNECT_S: Final = 5
_QUERY_S: Final = 60
_COLUMNS: Final = (
    "alert_id", "vin", "device_id", "time", "received_at", "kind", "code", "severity", "data", "origin",
    "stream_position",
)  # fmt: skip
# An insert has to be readable when it returns. Partitions are months: device clocks may say any, and one
# batch of a replay may hold years.
_SETTINGS: Final = {"async_insert": 0, "max_partitions_per_insert_block": 0}
_PRESENT: Final = f"""
    select alert_id from {TABLE}
    where vin in {{vins:Array(String)}} and time between {{first:DateTime64(3, 'UTC')}}
        and {{last:DateTime64(3, 'UTC')}} and alert_id in {{ids:Array(String)}}
"""


class AlertHistory:
    """A connection to ClickHouse that is made when needed and thrown away after any failure."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client | None = None

    def store(self, alerts: Sequence[Alert]) -> int:
        """Insert the alerts that are not there yet, each once; returns how many those were.

        One writer per vehicle at a time (the topic is keyed by VIN) makes this exact; where two overlapped
        for a moment, the table's engine merges what came twice.

        Raises:
            UnavailableError: ClickHouse does not answer as it should; some may be stored, so store all again.
        """
        wanted = {alert.alert_id: alert for alert in alerts}
        if not wanted:
            return 0
        try:
            client = self._open()
            present = self._present(client, wanted)
            rows = [_row(alert) for alert_id, alert in wanted.items() if alert_id not in present]
            if rows:
                client.insert(TABLE, rows, column_names=_COLUMNS, settings=dict(_SETTINGS))
        except ClickHouseError as error:
            self.close()
            message = (
                f"ClickHouse at {self._settings.host}:{self._settings.clickhouse_http_port} does not take "
                f"alerts now ({type(error).__name__}); `piston status` shows it"
            )
            raise UnavailableError(message) from error
        return len(rows)

    def close(self) -> None:
        """End the connection; the next use makes another."""
        if self._client is not None:
            client, self._client = self._client, None
            client.close()

    def _open(self) -> Client:
        if self._client is None:
            self._client = clickhouse_connect.get_client(
                host=self._settings.host,
                port=self._settings.clickhouse_http_port,
                username=self._settings.clickhouse_user,
                password=self._settings.clickhouse_password.get_secret_value(),
                autogenerate_session_id=False,
                connect_timeout=_CONNECT_S,
                send_receive_timeout=_QUERY_S,
            )
        return self._client

    @staticmethod
    def _present(client: Client, wanted: dict[str, Alert]) -> set[str]:
        times = [alert.time_ms for alert in wanted.values()]
        parameters = {
            "vins": sorted({alert.vin for alert in wanted.values()}),
            "first": from_epoch_ms(min(times)).replace(tzinfo=None),
            "last": from_epoch_ms(max(times)).replace(tzinfo=None),
            "ids": list(wanted),
        }
        return {row[0] for row in client.query(_PRESENT, parameters=parameters).result_rows}


def _row(alert: Alert) -> list[object]:
    return [
        alert.alert_id,
        alert.vin,
        alert.device_id,
        from_epoch_ms(alert.time_ms).astimezone(UTC),
        from_epoch_ms(alert.received_at_ms).astimezone(UTC),
        alert.kind.value,
        alert.code,
        alert.severity.value,
        orjson.dumps({**alert.detail, "is_late": alert.is_late}).decode(),
        alert.origin.value,
        alert.stream_position,
    ]
