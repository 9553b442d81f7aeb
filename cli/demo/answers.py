"""Three answers of the partner API, each compared with plain SQL on the stores.

The API runs in a process of its own; here it is only ever asked over HTTP, as a partner would. The SQL does
not touch the marts or caches that the API reads where the raw rows can tell the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import clickhouse_connect
import httpx
import psycopg
from clickhouse_connect.driver.client import Client

from telematics.clock import rfc3339_ms
from telematics.settings import Settings

_TIMEOUT_S = 30.0
_ODOMETER_TOLERANCE_MI = 0.01
_PAGE = 1000


@dataclass(frozen=True)
class Comparison:
    """One request, what came back in short, and whether SQL says the same."""

    request: str
    answer: str
    sql: str
    agrees: bool


@dataclass(frozen=True)
class Stores:
    """Open connections to what the API reads from, for the SQL side of a comparison."""

    hot: psycopg.Connection[Any]
    warm: Client

    @classmethod
    def connect(cls, settings: Settings) -> "Stores":
        """Connect to TimescaleDB and ClickHouse."""
        warm = clickhouse_connect.get_client(
            host=settings.host,
            port=settings.clickhouse_http_port,
            username=settings.clickhouse_reader_user,
            password=settings.clickhouse_reader_password.get_secret_value(),
            autogenerate_session_id=False,
        )
        return cls(psycopg.connect(settings.timescale_dsn(), autocommit=True), warm)

    def close(self) -> None:
        """Close both."""
        self.hot.close()
        self.warm.close()

    def newest(self, vin: str) -> tuple[datetime, float | None]:
        """Time and odometer (miles) of the vehicle's newest record in either tier."""
        found = [
            self.hot.execute(
                "select time, odometer from telemetry where vin = %s order by time desc limit 1", [vin]
            ).fetchone(),
            next(
                iter(
                    self.warm.query(
                        "select toUnixTimestamp64Milli(time), odometer from analytics.telemetry"
                        " where vin = {vin:String} order by time desc limit 1",
                        {"vin": vin},
                    ).result_rows
                ),
                None,
            ),
        ]
        rows = []
        if found[0]:
            rows.append((found[0][0], found[0][1]))
        if found[1]:
            rows.append((datetime.fromtimestamp(found[1][0] / 1000, UTC), found[1][1]))
        return max(rows, key=lambda row: row[0])

    def daily_odometer(self, vin: str) -> list[tuple[str, float]]:
        """Last odometer (miles) of each day, straight from the records."""
        rows = self.warm.query(
            "select toString(toDate(time)), argMax(odometer, time) from analytics.telemetry"
            " where vin = {vin:String} and odometer is not null group by 1 order by 1",
            {"vin": vin},
        ).result_rows
        return [(row[0], row[1]) for row in rows]

    def count(self, vin: str, start: datetime, end: datetime) -> int:
        """Distinct records of [start, end) over both tiers."""
        hot = self.hot.execute(
            "select device_id, (extract(epoch from time) * 1000)::bigint, event_id, content_hash"
            " from telemetry where vin = %s and time >= %s and time < %s",
            [vin, start, end],
        ).fetchall()
        warm = self.warm.query(
            "select device_id, toUnixTimestamp64Milli(time), event_id, content_hash from analytics.telemetry"
            " where vin = {vin:String} and time >= {start:DateTime64(3, 'UTC')}"
            " and time < {end:DateTime64(3, 'UTC')}",
            {"vin": vin, "start": start, "end": end},
        ).result_rows
        return len({tuple(row) for row in hot} | {tuple(row) for row in warm})


class Partner:
    """A partner's program: takes a token, asks, follows cursors."""

    def __init__(self, base_url: str, client_id: str, client_secret: str) -> None:
        self._http = httpx.Client(base_url=base_url, timeout=_TIMEOUT_S)
        token = self._http.post(
            "/oauth/token", data={"grant_type": "client_credentials"}, auth=(client_id, client_secret)
        )
        token.raise_for_status()
        self._http.headers["Authorization"] = f"Bearer {token.json()['access_token']}"

    def get(self, path: str, **params: str | int) -> dict[str, Any]:
        """The JSON body of one answer."""
        response = self._http.get(path, params=params)
        response.raise_for_status()
        body: dict[str, Any] = response.json()
        return body

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


def compare_live_status(partner: Partner, stores: Stores, vin: str) -> Comparison:
    """Last seen and odometer against the newest stored record."""
    path = f"/api/v1/vehicles/{vin}/live-status"
    body = partner.get(path)
    time, odometer = stores.newest(vin)
    answered = (body["last_seen"], body["current_odometer"])
    close = (
        odometer is None
        if answered[1] is None
        else odometer is not None and abs(answered[1] - odometer) < _ODOMETER_TOLERANCE_MI
    )
    agrees = datetime.fromisoformat(answered[0]) == time and close
    return Comparison(
        f"GET {path}",
        f"last seen {answered[0]}, odometer {answered[1]} mi, location {body['location']}",
        f"newest record {rfc3339_ms(time)}, odometer {odometer} mi",
        agrees,
    )


def compare_odometer_history(partner: Partner, stores: Stores, vin: str) -> Comparison:
    """Each day's reading against the last record of that day."""
    path = f"/api/v1/vehicles/{vin}/odometer-history"
    expected = stores.daily_odometer(vin)
    readings = partner.get(path, **{"from": expected[0][0]})["readings"] if expected else []
    agrees = len(readings) == len(expected) and all(
        reading["date"] == day and abs(reading["odometer"] - miles) < _ODOMETER_TOLERANCE_MI
        for reading, (day, miles) in zip(readings, expected, strict=True)
    )
    span = (
        f"{readings[0]['date']} … {readings[-1]['date']}, last {readings[-1]['odometer']} mi"
        if readings
        else "none"
    )
    return Comparison(
        f"GET {path}?from={expected[0][0] if expected else ''}",
        f"{len(readings)} daily readings, {span}",
        f"{len(expected)} days with an odometer in the records",
        agrees,
    )


def compare_telemetry(partner: Partner, stores: Stores, vin: str, days: int = 14) -> Comparison:
    """All pages of the newest two weeks (which lie in two tiers) against a count over both."""
    newest, _ = stores.newest(vin)
    end = newest + timedelta(milliseconds=1)
    start = end - timedelta(days=days)
    path = f"/api/v1/vehicles/{vin}/telemetry"
    window = {"from": rfc3339_ms(start), "to": rfc3339_ms(end)}
    tiers: set[str] = set()
    records = pages = 0
    more: dict[str, str] = {}
    while True:
        body = partner.get(path, limit=_PAGE, **window, **more)
        pages += 1
        records += len(body["records"])
        tiers.update(body["tiers"])
        if not body["next"]:
            break
        more = {"cursor": body["next"]}
    expected = stores.count(vin, start, end)
    return Comparison(
        f"GET {path}?from={window['from']}&to={window['to']}",
        f"{records} records on {pages} pages from {' and '.join(sorted(tiers))}",
        f"{expected} distinct records over both tiers",
        records == expected,
    )


COMPARISONS: tuple[Callable[[Partner, Stores, str], Comparison], ...] = (
    compare_live_status,
    compare_odometer_history,
    compare_telemetry,
)
