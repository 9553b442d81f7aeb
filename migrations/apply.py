"""All stores brought to this release's schema, or taken back from it."""

from collections.abc import Callable
from typing import NamedTuple

from migrations import topics
from migrations.clickhouse import apply as clickhouse
from migrations.search import apply as search
from migrations.timescale import apply as timescale
from telematics.settings import Settings


class SchemaState(NamedTuple):
    """Where a store's schema stands and where this release wants it."""

    store: str
    current: str
    head: str

    @property
    def is_current(self) -> bool:
        """Whether nothing is left to apply."""
        return self.current == self.head


def upgrade(settings: Settings, progress: Callable[[str], None] = lambda _: None) -> None:
    """Bring every store to the newest schema; says each change through `progress`.

    Raises:
        UnavailableError: a store does not answer.
    """
    before, after = timescale.migrate(settings, "head")
    if before != after:
        progress(f"TimescaleDB schema {before or 'empty'} → {after}")
    old, new = clickhouse.migrate(settings, progress=progress)
    if old != new:
        progress(f"ClickHouse schema {old or 'empty'} → {new}")
    if clickhouse.follow_settings(settings):
        progress(f"ClickHouse: days grow cold after {settings.warm_retention_days} days")
    topics.create_topics(settings.kafka_bootstrap, progress)
    if settings.with_search:
        was, now = search.migrate(settings)
        if was != now:
            progress(f"search schema {was or 'empty'} → {now}")


def downgrade(settings: Settings) -> None:
    """Take every table and topic of ours away again, with all data in them.

    Raises:
        UnavailableError: a store does not answer.
    """
    timescale.migrate(settings, "base")
    clickhouse.migrate(settings, 0)
    topics.delete_topics(settings.kafka_bootstrap)
    if settings.with_search:
        search.remove(settings)


def states(settings: Settings) -> list[SchemaState]:
    """How each database's schema stands.

    Raises:
        UnavailableError: a store does not answer.
    """
    found = [
        SchemaState("timescale", timescale.current(settings) or "empty", timescale.head()),
        SchemaState("clickhouse", str(clickhouse.current(settings)), str(clickhouse.head())),
    ]
    if settings.with_search:
        found.append(SchemaState("search", str(search.current(settings)), str(search.head())))
    return found
