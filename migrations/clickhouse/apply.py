"""ClickHouse migrations: numbered SQL files, applied in order and written down in a table."""

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from migrations.clickhouse import tiers
from telematics.errors import UnavailableError
from telematics.names import ANALYTICS_DATABASE
from telematics.settings import Settings

_FILE = re.compile(r"(\d{4})_(\w+)\.up\.sql")
_BY_DAY = "{day:String}"
"""A statement with this parameter runs once for each partition of `telemetry`, a day: a table of years would
take longer in one statement than a connection waits, without a sign of life."""
_TOLD_EVERY = 50
_LEDGER = f"{ANALYTICS_DATABASE}.schema_migrations"


class Migration(NamedTuple):
    """One step: its number, its name, and the statements each way."""

    number: int
    name: str
    up: tuple[str, ...]
    down: tuple[str, ...]


def _statements(path: Path) -> tuple[str, ...]:
    return tuple(
        part.strip() for part in re.split(r";\s*$", path.read_text(), flags=re.MULTILINE) if part.strip()
    )


@cache
def known() -> tuple[Migration, ...]:
    """The migrations that this release holds, in order."""
    folder = Path(__file__).parent
    found = []
    for path in sorted(folder.glob("*.up.sql")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            message = f"{path.name} is not named NNNN_name.up.sql"
            raise ValueError(message)
        down = path.with_name(path.name.replace(".up.", ".down."))
        found.append(Migration(int(match[1]), match[2], _statements(path), _statements(down)))
    return tuple(found)


def head() -> int:
    """The newest migration's number."""
    return known()[-1].number


def _connect(settings: Settings) -> Client:
    try:
        client = clickhouse_connect.get_client(
            host=settings.host,
            port=settings.clickhouse_http_port,
            username=settings.clickhouse_user,
            password=settings.clickhouse_password.get_secret_value(),
            autogenerate_session_id=False,
        )
        client.command(f"create database if not exists {ANALYTICS_DATABASE}")
        client.command(
            f"create table if not exists {_LEDGER} "
            "(number UInt32, name String, applied_at DateTime64(3, 'UTC'))"
            " engine = MergeTree order by number comment 'One row per applied migration.'"
        )
    except ClickHouseError as error:
        message = (
            f"ClickHouse at {settings.host}:{settings.clickhouse_http_port} does not let us in; "
            "run `piston up`, or check PISTON_CLICKHOUSE_HTTP_PORT and PISTON_CLICKHOUSE_PASSWORD"
        )
        raise UnavailableError(message) from error
    return client


def _applied(client: Client) -> set[int]:
    return {row[0] for row in client.query(f"select number from {_LEDGER}").result_rows}


def current(settings: Settings) -> int:
    """The newest applied migration's number, 0 before the first."""
    client = _connect(settings)
    try:
        return max(_applied(client), default=0)
    finally:
        client.close()


def follow_settings(settings: Settings) -> bool:
    """Bring what follows a setting up to date, in a schema that is current; returns whether it had to.

    Raises:
        UnavailableError: the database does not let us in.
    """
    client = _connect(settings)
    try:
        return tiers.follow_retention(client, settings.warm_retention_days)
    finally:
        client.close()


def migrate(
    settings: Settings, number: int | None = None, progress: Callable[[str], None] = lambda _: None
) -> tuple[int, int]:
    """Move up or down to a migration's number (None: the newest); returns the number before and after.

    A step is written down after its last statement; ClickHouse has no transactions over DDL, so a step that
    died half-way runs again from its first statement and has to bear that (`if not exists`).

    Raises:
        UnavailableError: the database does not let us in.
    """
    client = _connect(settings)
    try:
        applied = _applied(client)
        before = max(applied, default=0)
        target = head() if number is None else number
        for migration in known():
            if migration.number <= target and migration.number not in applied:
                for statement in migration.up:
                    _run(client, statement, progress)
                client.command(
                    f"insert into {_LEDGER} values ({migration.number}, '{migration.name}', now64(3, 'UTC'))"
                )
        for migration in reversed(known()):
            if migration.number > target and migration.number in applied:
                for statement in migration.down:
                    _run(client, statement, progress)
                client.command(f"delete from {_LEDGER} where number = {migration.number}")
        return before, target
    finally:
        client.close()


def _run(client: Client, statement: str, progress: Callable[[str], None]) -> None:
    if _BY_DAY not in statement:
        client.command(statement)
        return
    days = [*_days(client)]
    for number, day in enumerate(days, 1):
        client.command(statement, parameters={"day": day})
        if number % _TOLD_EVERY == 0:
            progress(f"ClickHouse: {number} of {len(days)} days copied")


def _days(client: Client) -> Iterator[str]:
    rows = client.query(
        "select distinct partition_id from system.parts where active and database = {database:String} "
        "and table = 'telemetry' order by partition_id",
        parameters={"database": ANALYTICS_DATABASE},
    ).result_rows
    yield from (day for (day,) in rows)
