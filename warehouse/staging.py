"""Tables beside `analytics.telemetry` in which a load builds whole days before it swaps them in.

Their names start with `telemetry__`. Only the holder of the merge lock makes them, so whoever takes the lock
may drop what an earlier, crashed run left behind. They copy the structure (and so the partitioning and any
TTL that recompresses) of `analytics.telemetry`, which REPLACE PARTITION demands.
"""

import re
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta

from clickhouse_connect.driver.client import Client
from psycopg import Connection, sql

from telematics.names import ANALYTICS_DATABASE, WRITE_SCOPE
from warehouse.columns import COPIED, DERIVED, LOADED_VIN, OWNER_VIN, RESOLVED
from warehouse.crossing import BrokenCopyError, Crossing, Wire, pieces
from warehouse.warm_days import TELEMETRY

_PREFIX = "telemetry__"
_CHUNK_BYTES = 1 << 20
_EPOCH = date(1970, 1, 1)
_INSTALLATIONS_COLUMNS = (
    "owner String, installed_at DateTime64(6, 'UTC'), removed_at DateTime64(6, 'UTC'), "
    "vin String, origin String"
)
# DateTime64's own range stands in for PostgreSQL's infinities.
_INSTALLATIONS_SELECT = """
select i.imei,
       greatest(i.installed_at, '1900-01-01Z') at time zone 'UTC',
       least(i.removed_at, '2299-12-31Z') at time zone 'UTC', i.vin, v.origin
from device_installations as i join vehicles as v using (vin)
union all
-- a partner's reading has no device: it belongs to the vehicle that it was posted for, if ever granted
select {owner_vin} || v.vin, timestamp '1900-01-01', timestamp '2299-12-31', v.vin, v.origin
from vehicles as v
where exists (select from grants as g where g.vin = v.vin and {write} = any(g.scopes))
union all
-- rows of a loaded history that names vehicles and no devices
select {loaded_vin} || v.vin, timestamp '1900-01-01', timestamp '2299-12-31', v.vin, v.origin
from vehicles as v where exists (select from backfill_devices as b where b.vin = v.vin)
"""


def _name(run_id: str, part: str) -> str:
    return f"{ANALYTICS_DATABASE}.{_PREFIX}{re.sub(r'[^0-9A-Za-z]+', '_', run_id)[:40]}_{part}"


def drop_stale(client: Client) -> int:
    """Drop what crashed runs left behind; only the holder of the merge lock may call this."""
    stale = client.query(
        "select name from system.tables "
        "where database = {database:String} and startsWith(name, {prefix:String})",
        parameters={"database": ANALYTICS_DATABASE, "prefix": _PREFIX},
    ).result_rows
    for (name,) in stale:
        client.command(f"drop table if exists {ANALYTICS_DATABASE}.`{name}` sync")
    return len(stale)


@contextmanager
def days_table(client: Client, run_id: str, part: str) -> Iterator[str]:
    """An empty twin of `analytics.telemetry` that no background merge touches; dropped at the end."""
    name = _name(run_id, part)
    client.command(f"create table {name} as {TELEMETRY}")
    try:
        # a merge between the check of what was staged and the swap would only be wasted work
        client.command(f"system stop merges {name}")
        yield name
    finally:
        client.command(f"drop table if exists {name} sync")


@contextmanager
def rows_table(client: Client, run_id: str, part: str) -> Iterator[str]:
    """An empty table of whole rows by the names of `warehouse.columns`, to merge from; dropped at the end."""
    name = _name(run_id, part)
    client.command(f"create table {name} engine = MergeTree order by time empty as {row_select()}")
    try:
        yield name
    finally:
        client.command(f"drop table if exists {name} sync")


def row_select() -> str:
    """A select of whole rows of `analytics.telemetry`; `*` would be what is stored of them."""
    names = [*DERIVED, *(column.name for column in COPIED), *RESOLVED]
    return f"select {', '.join(names)} from {TELEMETRY}"


@contextmanager
def installations_table(client: Client, connection: Connection, run_id: str) -> Iterator[str]:
    """Which device sat in which vehicle when, as TimescaleDB has it now; dropped at the end.

    Vehicles for which partners may post stand in it, too, each as an owner of its own.

    On disk, not in memory: were ClickHouse restarted in the middle of a load, an empty table would take every
    row's VIN away without an error.
    """
    name = _name(run_id, "installations")
    select = sql.SQL(_INSTALLATIONS_SELECT).format(
        owner_vin=sql.Literal(OWNER_VIN),
        loaded_vin=sql.Literal(LOADED_VIN),
        write=sql.Literal(WRITE_SCOPE),
    )
    client.command(f"create table {name} ({_INSTALLATIONS_COLUMNS}) engine = MergeTree order by owner")
    try:
        copy_into(client, connection, select, f"insert into {name}")
        yield name
    finally:
        client.command(f"drop table if exists {name} sync")


def copy_into(client: Client, connection: Connection, select: sql.Composable, insert: str) -> int:
    """Stream what a PostgreSQL query returns into a ClickHouse insert; returns the number of rows sent.

    Rows pass through in chunks of a megabyte, whatever their number.
    """
    with connection.cursor() as cursor:

        def body() -> Generator[bytes]:
            yield f"{insert} format TabSeparated\n".encode()
            with cursor.copy(sql.SQL("copy ({}) to stdout").format(select)) as copy:
                yield from _chunks(copy)

        # without a table the body itself begins with the statement
        client.raw_insert("", insert_block=body(), settings={"precise_float_parsing": 1})
        return cursor.rowcount


def cross_into(
    client: Client,
    connection: Connection,
    select: sql.Composable,
    insert: str,
    columns: Sequence[tuple[str, str, Wire]],
) -> Counter[date]:
    """The same for many rows, in binary formats on both sides; returns the rows sent, by the day of `time`.

    Args:
        client: of the insert.
        connection: of the query.
        select: the query.
        insert: an insert without its format.
        columns: of the query: name, ClickHouse type and PostgreSQL's form of each.

    Raises:
        BrokenCopyError: PostgreSQL does not answer with these columns.
    """
    crossing = Crossing(columns)
    sent: Counter[date] = Counter()
    with connection.cursor() as cursor:

        def body() -> Generator[bytes]:
            yield f"{insert} format Native\n".encode()
            query = sql.SQL("copy ({}) to stdout (format binary)").format(select)
            with cursor.copy(query) as copy:
                for piece in pieces(copy):
                    count, block = crossing.block(piece)
                    for number, rows in crossing.days("time", count).items():
                        sent[_EPOCH + timedelta(days=number)] += rows
                    if count:
                        yield block

        # without a table the body itself begins with the statement
        client.raw_insert("", insert_block=body())
        if sent.total() != cursor.rowcount:
            message = f"{sent.total()} rows crossed, PostgreSQL sent {cursor.rowcount}"
            raise BrokenCopyError(message)
    return sent


def _chunks(rows: Iterable[bytes | bytearray | memoryview]) -> Iterator[bytes]:
    pending: list[bytes | bytearray | memoryview] = []
    size = 0
    for row in rows:
        pending.append(row)
        size += len(row)
        if size >= _CHUNK_BYTES:
            yield b"".join(pending)
            pending, size = [], 0
    if pending:
        yield b"".join(pending)
