"""How soon the first page of a vehicle's two years is there, read as the API reads it, and through the API.

THE HISTORY. 730 days of a fleet in ClickHouse, made of one simulated day: some vehicles with all their
records, the others with every hundredth, because all of it would be a billion and a half rows. What a page
costs depends on the number of days, on how a day's part is stored, and on how dense the vehicle's own rows
are: parts are stored column by column, as those of a full day are, the vehicles that are read are dense, and
every part holds all vehicles. Days past warm retention lie on the cold volume with the cold tier's codec.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import httpx
from clickhouse_connect.driver.client import Client

from benchmarks.partner import make_partner
from benchmarks.services import service
from migrations.clickhouse.tiers import COLD_CODEC
from telematics.clock import day_start
from telematics.names import ANALYTICS_DATABASE, COLD_VOLUME
from telematics.settings import Settings
from warehouse import clients, history
from warehouse.history.stores import HistoryStores
from warehouse.ledger import LedgerEntry, merge_lock, write_loads
from warehouse.progress import silent
from warehouse.warm_days import TELEMETRY, row_counts

DAYS: Final = 730
LIMIT: Final = 1_000
DENSE_VEHICLES: Final = 16
_SEED: Final = 730
_ONE_OF: Final = 100
_DAYS_AT_ONCE: Final = 10
_SOURCE: Final = f"{ANALYTICS_DATABASE}.bench_day"
_WARM_UP: Final = 10


@dataclass(frozen=True, slots=True)
class History:
    """What was built.

    Attributes:
        first: its first day.
        until: the day after the last.
        vins: vehicles with all their records.
        rows: of all days.
        vehicles: in it.
        cold_days: days on the cold volume.
        bytes_on_disk: of ClickHouse's parts.
    """

    first: date
    until: date
    vins: list[str]
    rows: int
    vehicles: int
    cold_days: int
    bytes_on_disk: int


def build(settings: Settings, day: date, days: int = DAYS) -> History:
    """Days up to `day`, made of what ClickHouse holds of it; the ledger says that ClickHouse serves them.

    Raises:
        RuntimeError: the day has too few vehicles, or the older days do not lie on the cold volume.
    """
    first, until = day - timedelta(days=days - 1), day + timedelta(days=1)
    with clients.clickhouse(settings) as client:
        # vehicles that drove enough for a page or so a day
        dense = [
            vin
            for (vin,) in client.query(
                f"select vin from {TELEMETRY} group by vin having count() >= {LIMIT} "
                f"order by cityHash64(vin) limit {DENSE_VEHICLES}"
            ).result_rows
        ]
        if not dense:
            message = f"no vehicle has {LIMIT} records on {day}"
            raise RuntimeError(message)
        client.command(
            f"create table {_SOURCE} engine = Memory as select * from {TELEMETRY} where "
            f"vin in {{dense:Array(String)}} or cityHash64(device_id, time) % {_ONE_OF} = 0",
            parameters={"dense": dense},
        )
        client.command(f"truncate table {TELEMETRY}")
        # a full day's part is larger than what is stored in one file
        client.command(f"alter table {TELEMETRY} modify setting min_bytes_for_wide_part = 0")
        _insert(client, days, settings.warm_retention_days)
        client.command(f"drop table {_SOURCE} sync")
        counts = row_counts(client, first, until)
        ((vehicles,),) = client.query(f"select uniqExact(vin) from {TELEMETRY}").result_rows
        ((cold, size),) = client.query(
            "select uniqExactIf(partition, disk_name = {disk:String} and default_compression_codec = "
            f"'{COLD_CODEC}'), sum(bytes_on_disk) from system.parts "
            f"where active and database || '.' || table = '{TELEMETRY}'",
            parameters={"disk": COLD_VOLUME},
        ).result_rows
    if not 0 < cold < days:
        message = f"{cold} of {days} days lie on the cold volume with its codec"
        raise RuntimeError(message)
    now = datetime.now(UTC)
    entries = [LedgerEntry(each, count, 1, is_provisional=False) for each, count in sorted(counts.items())]
    with merge_lock(settings, silent) as connection:
        write_loads(connection, entries, "bench", now)
        connection.execute("update day_loads set hot_dropped_at = %s where hot_dropped_at is null", [now])
    return History(first, until, dense, sum(counts.values()), vehicles, cold, size)


def _insert(client: Client, days: int, warm_days: int) -> None:
    """The source's day, moved back by 0 to `days - 1` days; a codec for each tier, as if parts were older."""
    for codec, first, end in (("LZ4", 0, min(days, warm_days)), (COLD_CODEC, warm_days, days)):
        # else all old parts would be recompressed beside what is measured
        client.command(f"alter table {TELEMETRY} modify setting default_compression_codec = '{codec}'")
        for back in range(first, end, _DAYS_AT_ONCE):
            moved = ", ".join(f"{name} - toIntervalDay(back) as {name}" for name in ("time", "received_at"))
            client.command(
                f"insert into {TELEMETRY} select * replace ({moved}, content_hash + back as content_hash) "
                f"from {_SOURCE} array join range({back}, {min(end, back + _DAYS_AT_ONCE)}) as back "
                "settings max_partitions_per_insert_block = 0"
            )


async def read_pages(settings: Settings, built: History, count: int) -> dict[str, list[float]]:
    """Milliseconds of first pages: of all of the history, whose first days are cold, and of its warm end."""
    chance = random.Random(_SEED)
    stores = await HistoryStores.open(settings)
    spent: dict[str, list[float]] = {"cold": [], "warm": []}
    starts = {"cold": built.first, "warm": built.until - timedelta(days=60)}
    try:
        for number in range(_WARM_UP + count):
            for tier, start in starts.items():
                vin = chance.choice(built.vins)
                begin = day_start(start) + timedelta(hours=chance.randrange(24))
                started = time.perf_counter()
                page = await history.read(stores, vin, begin, day_start(built.until), limit=LIMIT)
                elapsed_ms = (time.perf_counter() - started) * 1000
                if len(page.records) != LIMIT or page.tiers != (tier,):
                    message = (
                        f"a page of {len(page.records)} records from {page.tiers}, not from {tier} alone"
                    )
                    raise RuntimeError(message)
                if number >= _WARM_UP:
                    spent[tier].append(elapsed_ms)
    finally:
        await stores.close()
    return spent


def request_pages(settings: Settings, built: History, count: int) -> list[float]:
    """Milliseconds of first pages of all of the history through the API, one request after another."""
    chance = random.Random(_SEED)
    partner = asyncio.run(make_partner(settings, built.vins, days_ago=DAYS + 1))
    spent_ms = []
    with (
        service(settings, "api", settings.api_port),
        httpx.Client(base_url=f"http://127.0.0.1:{settings.api_port}", timeout=30) as client,
    ):
        answer = client.post(
            "/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=(partner.partner.client_id, partner.client_secret),
        )
        client.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
        for number in range(_WARM_UP + count):
            begin = day_start(built.first) + timedelta(hours=chance.randrange(24))
            query = {"from": _text(begin), "to": _text(day_start(built.until)), "limit": str(LIMIT)}
            vin = chance.choice(built.vins)
            started = time.perf_counter()
            answer = client.get(f"/api/v1/vehicles/{vin}/telemetry", params=query)
            elapsed_ms = (time.perf_counter() - started) * 1000
            _require(answer.raise_for_status().json())
            if number >= _WARM_UP:
                spent_ms.append(elapsed_ms)
    return spent_ms


def _require(document: dict[str, Any]) -> None:
    records: Sequence[Any] = document["records"]
    if len(records) != LIMIT:
        message = f"the API answered with {len(records)} records, not {LIMIT}"
        raise RuntimeError(message)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
