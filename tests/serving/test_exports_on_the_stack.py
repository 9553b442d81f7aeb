"""Exports of two years on the real stores: bounded memory, and an end when the client is gone."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from serving.app import create_app
from serving.partners.service import Credentials
from serving.vehicles.telemetry.repository import StoredTelemetry
from telematics.settings import Settings
from tests.serving.planting import Vehicle, at, clickhouse, plant_hot, timescale
from tests.serving.world import connect
from warehouse.archive.archiving import archive_days

pytestmark = pytest.mark.integration

FIRST_DAY = date(2040, 1, 1)
"""Two years that no other test uses."""
DAYS = 730
APART = 10
"""Days from one day with records to the next: a partition takes 10 ms to make and as long to drop."""
A_DAY = 125
ARCHIVED = 5
"""The first of those days."""
PAGE = 500


@pytest.fixture
def settings(stack: Settings, tmp_path: Path) -> Settings:
    """The stack with an archive of the test's own."""
    return stack.model_copy(update={"archive_url": str(tmp_path / "archive")})


@pytest.fixture
def two_years(settings: Settings, vehicle: Vehicle) -> Iterator[int]:
    """Records of two years in archive and ClickHouse, then some hot ones; how many."""
    last = FIRST_DAY + timedelta(DAYS)
    days = [FIRST_DAY + timedelta(number) for number in range(0, DAYS, APART)]
    with clickhouse(settings) as client, timescale(settings) as connection:
        client.command(
            "insert into analytics.telemetry (time, device_id, vin, lat_e7, lng_e7, speed_kph, stated, "
            "is_valid, hdop_tenths, dtc_known, received_at, content_hash) "
            "select {start:DateTime64(3, 'UTC')} + toIntervalDay(intDiv(number, {a_day:UInt32}) "
            "* {apart:UInt32}) + toIntervalSecond(number % {a_day:UInt32}), {imei:String}, "
            "{vin:String}, 420000000 + number * 10, -837000000, number % 80, map('odometer', number / 10), "
            "true, 9, true, "
            "{start:DateTime64(3, 'UTC')}, number from numbers({count:UInt32})",
            parameters={
                "start": f"{FIRST_DAY} 00:00:00",
                "a_day": A_DAY,
                "apart": APART,
                "imei": vehicle.imei,
                "vin": vehicle.vin,
                "count": len(days) * A_DAY,
            },
            settings={"max_partitions_per_insert_block": 0},
        )
        connection.execute(
            "insert into day_loads (day, loaded_at, run_id, row_count, hot_version, is_provisional,"
            " hot_dropped_at) select %s::date + n, now(), 'export', %s, 0, false, now()"
            " from generate_series(0, %s) as n",
            [FIRST_DAY, A_DAY, DAYS - 1],
        )
        archived = archive_days(settings, last + timedelta(9), 7, only=set(days[:ARCHIVED])).archived
        assert [done.day for done in archived] == days[:ARCHIVED]
        plant_hot(settings, vehicle, at(last, 12), 5)
        yield len(days) * A_DAY + 5
        connection.execute("delete from day_loads where run_id = 'export'")
        connection.execute("delete from day_archives where day = any(%s)", [days[:ARCHIVED]])
        connection.execute("delete from telemetry where device_id = %s and time >= %s", [vehicle.imei, last])
        drops = ", ".join(f"drop partition {day:%Y%m%d}" for day in days[ARCHIVED:])
        client.command(f"alter table analytics.telemetry {drops}")


Stream = Callable[[str, Callable[[bytes], bool]], Any]


@asynccontextmanager
async def streaming(settings: Settings, partner: Credentials) -> AsyncIterator[Stream]:
    """Sends GETs for NDJSON and hands each chunk of the answer to a callback, until that says to hang up.

    The application is called as a server calls it; HTTP clients in memory collect the whole answer first.
    """
    app = create_app(settings)
    async with app.router.lifespan_context(app) as state, connect(app) as client:
        answer = await client.post(
            "/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=(partner.partner.client_id, partner.client_secret),
        )
        token = answer.json()["access_token"]

        async def get(address: str, on_chunk: Callable[[bytes], bool]) -> int:
            path, _, query = address.partition("?")
            headers = {"authorization": f"Bearer {token}", "accept": "application/x-ndjson"}
            scope = {
                "type": "http",
                "asgi": {"version": "3.0", "spec_version": "2.3"},
                "http_version": "1.1",
                "method": "GET",
                "scheme": "http",
                "path": path,
                "raw_path": path.encode(),
                "query_string": query.encode(),
                "root_path": "",
                "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
                "server": ("piston.test", 80),
                "client": ("127.0.0.1", 1),
                "state": dict(state or {}),
            }
            gone = asyncio.Event()
            begun = False
            status = 0

            async def receive() -> dict[str, Any]:
                nonlocal begun
                if not begun:
                    begun = True
                    return {"type": "http.request", "body": b"", "more_body": False}
                await gone.wait()
                return {"type": "http.disconnect"}

            async def send(message: Any) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                elif not on_chunk(message.get("body", b"")):
                    gone.set()
                    await asyncio.sleep(0)

            await app(scope, receive, send)
            return status

        yield get


def address(vehicle: Vehicle) -> str:
    end = FIRST_DAY + timedelta(DAYS + 1)
    return f"/api/v1/vehicles/{vehicle.vin}/telemetry?from={FIRST_DAY}&to={end}"


async def test_two_years_stream_without_growing_memory(
    settings: Settings,
    vehicle: Vehicle,
    partner: Credentials,
    two_years: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("serving.vehicles.telemetry.service.PAGE_RECORDS", PAGE)
    peaks: list[int] = []
    times: set[str] = set()
    lines: list[bytes] = []

    def on_chunk(chunk: bytes) -> bool:
        nonlocal lines
        found = chunk.splitlines()
        lines = found[-1:] or lines
        times.update(line[9:33].decode() for line in found if line.startswith(b'{"time":"'))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.reset_peak()
        return True

    async with streaming(settings, partner) as get:
        tracemalloc.start()
        try:
            assert await get(address(vehicle), on_chunk) == 200
        finally:
            tracemalloc.stop()
    last = orjson.loads(lines[0])
    assert (last["end"], last["records"], len(times)) == (True, two_years, two_years)
    assert last["tiers"] == ["archive", "warm", "hot"]
    assert len(peaks) > two_years // PAGE
    # what the test itself keeps are the times
    first, rest = max(peaks[:3]), max(peaks[3:])
    assert rest < first * 1.3 + len(times) * 200


async def test_a_client_that_goes_away_ends_the_reading(
    settings: Settings,
    vehicle: Vehicle,
    partner: Credentials,
    two_years: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = StoredTelemetry.page
    pages = 0

    async def counted(*arguments: Any) -> Any:
        nonlocal pages
        pages += 1
        return await read(*arguments)

    monkeypatch.setattr(StoredTelemetry, "page", counted)
    async with streaming(settings, partner) as get:
        await get(address(vehicle), lambda _: False)
        assert pages <= 2
        sizes: list[int] = []
        await get(f"{address(vehicle)}&resolution=1d", lambda chunk: not sizes.append(len(chunk)))
    assert sum(sizes) > DAYS // APART * 100, "and the next one is served"
