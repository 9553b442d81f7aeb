"""Reads what documents are made of."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

import redis
from clickhouse_connect.driver.client import Client
from psycopg import Connection

from telematics.errors import UnavailableError
from telematics.names import ANALYTICS_DATABASE, live_key
from telematics.settings import Settings
from warehouse.publish.driving import Odometer, read_odometers
from warehouse.search.documents import LIVE_FIELDS, Known, Vehicle

Item = TypeVar("Item")

_BATCH: Final = 2_000

_BUILT: Final = f"select name from system.tables where database = '{ANALYTICS_DATABASE}'"
_HEALTH: Final = (
    f"select vin, argMax(health_score, as_of) from {ANALYTICS_DATABASE}.health_scores "
    "where as_of <= {as_of:Date} group by vin"
)
_CODES: Final = (
    f"select vin, argMax(dtc_codes, date), max(date) from {ANALYTICS_DATABASE}.component_day_signals "
    "where dtc_known and date <= {as_of:Date} group by vin"
)

Stored = tuple[bytes | None, ...]
"""Fields of `live:{vin}` in the order of `LIVE_FIELDS`, as they are stored."""


class Tables(NamedTuple):
    """What the warehouse knows, by VIN."""

    odometers: dict[str, Odometer]
    health: dict[str, int | None]
    codes: dict[str, tuple[tuple[str, ...], date]]

    def known(self, vin: str) -> Known:
        """What is known of one vehicle."""
        odometer = self.odometers.get(vin)
        codes, day = self.codes.get(vin, (None, None))
        return Known(
            odometer_mi=None if odometer is None else odometer.miles,
            odometer_source=None if odometer is None else odometer.source,
            odometer_on=None if odometer is None else odometer.date,
            health_score=self.health.get(vin),
            dtc_codes=codes,
            dtc_on=day,
        )


def read_tables(client: Client, as_of: date) -> Tables:
    """The newest of everything on or before `as_of`; what dbt has not built yet knows nothing."""
    parameters = {"as_of": as_of.isoformat()}
    built = {row[0] for row in client.query(_BUILT).result_rows}
    health = client.query(_HEALTH, parameters=parameters).result_rows
    codes: Sequence[Sequence[Any]] = ()
    if "component_day_signals" in built:
        codes = client.query(_CODES, parameters=parameters).result_rows
    return Tables(
        odometers=read_odometers(client, as_of) if "odometer_readings" in built else {},
        health={vin: score for vin, score in health},  # noqa: C416 - rows are sequences, not pairs
        codes={vin: (tuple(found), day) for vin, found, day in codes},
    )


def read_vehicles(connection: Connection) -> Iterator[Vehicle]:
    """Every vehicle of the registry without its consents, in blocks: never all in memory at once."""
    with connection.transaction(), connection.cursor(name="vehicles_to_feed") as cursor:
        cursor.itersize = _BATCH
        cursor.execute("select vin, origin, make, model, model_year from vehicles order by vin")
        for row in cursor:
            yield Vehicle(*row)


class ConsentMark(NamedTuple):
    """Up to where the grants were read that documents hold: what came later, the API looks up itself."""

    read_at: datetime
    grant_id: int
    """The newest one's."""


def read_mark(connection: Connection) -> ConsentMark:
    """Where the grants stand now; to be read before `read_consented_vehicles`."""
    row = connection.execute("select now(), coalesce(max(grant_id), 0) from grants").fetchone()
    assert row is not None  # noqa: S101 - an aggregate without groups is one row
    return ConsentMark(*row)


_CONSENTED: Final = """
select v.vin, v.origin, v.make, v.model, v.model_year, coalesce(c.consents, '{}')
from vehicles as v left join (
    select g.vin, array_agg(distinct g.client_id || ' ' || scope) as consents
    from grants as g cross join unnest(g.scopes) as scope
    where g.revoked_at is null and g.granted_at <= now() and now() < g.expires_at
    group by g.vin
) as c using (vin)
order by v.vin
"""


def read_consented_vehicles(connection: Connection) -> Iterator[Vehicle]:
    """Every vehicle of the registry with the consents of its owner that hold now."""
    with connection.transaction(), connection.cursor(name="vehicles_to_index") as cursor:
        cursor.itersize = _BATCH
        cursor.execute(_CONSENTED)
        for vin, origin, make, model, year, consents in cursor:
            yield Vehicle(vin, origin, make, model, year, tuple(consents))


def count_vehicles(connection: Connection) -> int:
    """How many vehicles the registry holds."""
    row = connection.execute("select count(*) from vehicles").fetchone()
    return 0 if row is None else int(row[0])


@contextmanager
def live_state(settings: Settings) -> Iterator["redis.Redis"]:
    """A connection to the live state; its failures become `UnavailableError`.

    Raises:
        UnavailableError: Valkey does not answer.
    """
    connection = redis.Redis.from_url(settings.valkey_url(), socket_timeout=30, socket_connect_timeout=5)
    try:
        yield connection
    except redis.RedisError as error:
        message = (
            f"Valkey at {settings.host}:{settings.valkey_port} does not give the live state "
            f"({type(error).__name__}); see `piston status`"
        )
        raise UnavailableError(message) from error
    finally:
        connection.close()


def read_live(connection: "redis.Redis", vins: Sequence[str]) -> list[Stored]:
    """The live fields of each vehicle, in the order given."""
    found: list[Stored] = []
    for some in batches(vins, _BATCH):
        pipeline = connection.pipeline(transaction=False)
        for vin in some:
            pipeline.hmget(live_key(vin), LIVE_FIELDS)
        found.extend(tuple(fields) for fields in pipeline.execute())
    return found


def batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of at most `size`."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
