"""Alembic, driven from Python: no alembic.ini, no script template, the settings decide where."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from telematics.errors import UnavailableError
from telematics.names import TELEMETRY_DATABASE
from telematics.settings import Settings

# Two `piston up` at once: the second waits here and then finds nothing to do.
_ADVISORY_LOCK = 7_048_121


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    return config


def head() -> str:
    """The newest revision that this release knows."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None  # noqa: S101 - the folder always holds at least one revision
    return revision


def _connect(settings: Settings) -> Connection:
    url = URL.create(
        "postgresql+psycopg",
        username=settings.timescale_user,
        password=settings.timescale_password.get_secret_value(),
        host=settings.host,
        port=settings.timescale_port,
        database=TELEMETRY_DATABASE,
    )
    try:
        return create_engine(url, poolclass=NullPool).connect()
    except OperationalError as error:
        message = (
            f"TimescaleDB at {settings.host}:{settings.timescale_port} (database {TELEMETRY_DATABASE}) "
            "does not let us in; run `piston up`, "
            "or check PISTON_TIMESCALE_PORT and PISTON_TIMESCALE_PASSWORD"
        )
        raise UnavailableError(message) from error


def current(settings: Settings) -> str | None:
    """The revision that the database is at; None before the first."""
    with _connect(settings) as connection:
        exists = connection.scalar(text("select to_regclass('public.alembic_version') is not null"))
        return connection.scalar(text("select version_num from alembic_version")) if exists else None


def migrate(settings: Settings, revision: str) -> tuple[str | None, str | None]:
    """Move the database up or down to a revision (`head`, `base` or an id); returns it before and after.

    Raises:
        UnavailableError: the database does not let us in.
    """
    before = current(settings)
    order = [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()][::-1]
    target = None if revision == "base" else (order[-1] if revision == "head" else revision)
    rank = {name: place for place, name in enumerate([None, *order])}
    if before not in rank:
        message = (
            f"the database is at revision {before}, which this release does not know; use a newer Piston"
        )
        raise UnavailableError(message)
    if rank[before] == rank[target]:
        return before, before
    with _connect(settings) as connection:
        connection.execute(text("select pg_advisory_lock(:key)"), {"key": _ADVISORY_LOCK})
        connection.commit()
        config = _config()
        config.attributes["connection"] = connection
        step = command.upgrade if rank[target] > rank[before] else command.downgrade
        step(config, revision)
        connection.commit()
    return before, current(settings)
