"""Connections to the two stores, with the behaviour that this package relies on and errors in sentences.

Passwords travel in the connection only: no statement of this package contains one, so none can show up in a
query log, a system table or an exception.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import clickhouse_connect
import psycopg
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from telematics.errors import UnavailableError
from telematics.names import ANALYTICS_DATABASE, TELEMETRY_DATABASE
from telematics.settings import Settings

CONNECT_TIMEOUT_S = 10
QUERY_TIMEOUT_S = 600
"""Silence on the socket for this long ends a query; ClickHouse reports progress while it works."""

# Some builds turn asynchronous inserts on: an insert would then return before its rows can be read back.
_PINNED = {"async_insert": 0}


def _clickhouse_sentence(settings: Settings) -> str:
    return (
        f"ClickHouse at {settings.host}:{settings.clickhouse_http_port} does not answer as it should; "
        "see `piston status`, or check PISTON_CLICKHOUSE_HTTP_PORT and the ClickHouse passwords"
    )


def _timescale_sentence(settings: Settings) -> str:
    return (
        f"TimescaleDB at {settings.host}:{settings.timescale_port} (database {TELEMETRY_DATABASE}) does not "
        "answer as it should; see `piston status`, "
        "or check PISTON_TIMESCALE_PORT and PISTON_TIMESCALE_PASSWORD"
    )


@contextmanager
def clickhouse_errors(settings: Settings) -> Iterator[None]:
    """Turn what the ClickHouse driver raises into `UnavailableError`, the cause attached."""
    try:
        yield
    except ClickHouseError as error:
        message = f"{_clickhouse_sentence(settings)} ({type(error).__name__})"
        raise UnavailableError(message) from error


@contextmanager
def timescale_errors(settings: Settings) -> Iterator[None]:
    """Turn a lost or refused PostgreSQL connection into `UnavailableError`, the cause attached.

    Errors in a statement stay what they are: they are bugs of ours, and waiting does not help.
    """
    try:
        yield
    except psycopg.OperationalError as error:
        message = f"{_timescale_sentence(settings)} ({type(error).__name__})"
        raise UnavailableError(message) from error


def open_clickhouse(settings: Settings, *, as_reader: bool = False) -> Client:
    """A client of ClickHouse's HTTP port, to be closed by the caller; threads may share it.

    Without a session id two threads do not queue up behind each other's session.

    Args:
        settings: where and with which passwords.
        as_reader: log in as the user who may only read `analytics`.

    Raises:
        UnavailableError: ClickHouse does not let us in.
    """
    user, secret = (
        (settings.clickhouse_reader_user, settings.clickhouse_reader_password)
        if as_reader
        else (settings.clickhouse_user, settings.clickhouse_password)
    )
    with clickhouse_errors(settings):
        return clickhouse_connect.get_client(
            host=settings.host,
            port=settings.clickhouse_http_port,
            username=user,
            password=secret.get_secret_value(),
            database=ANALYTICS_DATABASE,
            autogenerate_session_id=False,
            connect_timeout=CONNECT_TIMEOUT_S,
            send_receive_timeout=QUERY_TIMEOUT_S,
            # the reader's profile may forbid changing settings, and it inserts nothing
            settings={} if as_reader else _PINNED,
        )


@contextmanager
def clickhouse(settings: Settings, *, as_reader: bool = False) -> Iterator[Client]:
    """A ClickHouse client for the length of a `with`; driver errors inside become `UnavailableError`.

    Raises:
        UnavailableError: ClickHouse does not let us in, or a query failed.
    """
    client = open_clickhouse(settings, as_reader=as_reader)
    try:
        with clickhouse_errors(settings):
            yield client
    finally:
        client.close()


@contextmanager
def timescale(settings: Settings, *, autocommit: bool = True) -> Iterator[psycopg.Connection]:
    """A PostgreSQL connection for the length of a `with`; its loss becomes `UnavailableError`.

    The session's zone is UTC whatever the server's default is, so dates never shift.

    Raises:
        UnavailableError: TimescaleDB does not let us in, or the connection was lost.
    """
    with (
        timescale_errors(settings),
        psycopg.connect(
            settings.timescale_dsn(), autocommit=autocommit, connect_timeout=CONNECT_TIMEOUT_S
        ) as connection,
    ):
        yield connection
