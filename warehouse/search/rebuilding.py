"""A new index of every vehicle, and the alias moved over to it at once.

Readers ask the alias, so they see the old index whole or the new one whole. Nothing of the old one is
touched before the new one is complete and counted: whatever fails on the way, the last good index stays, and
the half-built one is removed, by the failed rebuild itself or, if that was killed, by the next.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from typing import Final

from elasticsearch import Elasticsearch
from psycopg import Connection

from telematics.names import SEARCH_ALIAS
from telematics.settings import Settings
from warehouse import clients
from warehouse.progress import Progress, silent
from warehouse.search import sources
from warehouse.search.documents import LIVE_FIELDS, Document, build_document, parse_live
from warehouse.search.index import (
    BULK_DOCUMENTS,
    FAILURES,
    IndexNotWrittenError,
    Written,
    all_indices,
    connected,
    current_index,
    index_number,
    mark_document,
    write,
)

REBUILD_LOCK: Final = 7_048_126
"""Advisory lock of whoever builds an index: a second one would remove the first one's half-built index."""


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """One rebuild.

    Attributes:
        as_of: UTC day that the figures are of.
        index: the index that the alias names now.
        document_count: vehicles in it.
        located_count: those of them with a position.
        bytes: of the documents as they were sent.
        index_bytes: of the index on disk.
        seconds: it took.
    """

    as_of: date
    index: str
    document_count: int
    located_count: int
    bytes: int
    index_bytes: int
    seconds: float


def rebuild(
    settings: Settings,
    as_of: date,
    *,
    progress: Progress = silent,
    before_switch: Callable[[str], None] = lambda _: None,
) -> RebuildReport:
    """Build a new index from registry, grants, marts, scores and live state, and put the alias on it.

    Steps: remove what a killed rebuild left; make the next index; write every document; refresh and count;
    move the alias in one request; remove the old index.

    Args:
        settings: where everything lies.
        as_of: the UTC day that figures are of.
        progress: told of each step.
        before_switch: called with the complete new index's name; tests interfere here.

    Raises:
        UnavailableError: a store does not answer, or not every vehicle arrived; the last good index stays.
    """
    started = time.monotonic()
    with _alone(settings, progress) as connection, connected(settings) as client:
        with clients.clickhouse(settings) as warehouse:
            tables = sources.read_tables(warehouse, as_of)
        old = current_index(client)
        _remove_others(client, old)
        new = f"{SEARCH_ALIAS}-{1 + (0 if old is None else max(0, index_number(old)))}"
        mark = sources.read_mark(connection)
        client.indices.create(index=new, mappings={"_meta": mark_document(mark)})
        try:
            written, located = _fill(settings, client, new, connection, tables)
            client.indices.refresh(index=new)
            _require_all(client, new, sources.count_vehicles(connection), written.documents)
            before_switch(new)
            _switch(client, old, new)
        except BaseException:
            _give_up(client, new)
            raise
        size = client.indices.stats(index=new, metric="store")["_all"]["primaries"]["store"]["size_in_bytes"]
        if old is not None:
            _remove(client, old)
    return RebuildReport(
        as_of=as_of,
        index=new,
        document_count=written.documents,
        located_count=located,
        bytes=written.bytes,
        index_bytes=int(size),
        seconds=time.monotonic() - started,
    )


@contextmanager
def _alone(settings: Settings, progress: Progress) -> Iterator[Connection]:
    with clients.timescale(settings) as connection:
        row = connection.execute("select pg_try_advisory_lock(%s)", [REBUILD_LOCK]).fetchone()
        if row is None or not row[0]:
            progress("another rebuild is running; waiting for it to finish")
            connection.execute("select pg_advisory_lock(%s)", [REBUILD_LOCK])
        yield connection


def _fill(
    settings: Settings, client: Elasticsearch, index: str, connection: Connection, tables: sources.Tables
) -> tuple[Written, int]:
    documents = size = located = 0
    with sources.live_state(settings) as live:
        for vehicles in sources.batches(sources.read_consented_vehicles(connection), BULK_DOCUMENTS):
            stored = sources.read_live(live, [vehicle.vin for vehicle in vehicles])
            batch: list[tuple[int, Document]] = []
            for vehicle, fields in zip(vehicles, stored, strict=True):
                newest = parse_live(dict(zip(LIVE_FIELDS, fields, strict=True)))
                batch.append((newest.version, build_document(vehicle, tables.known(vehicle.vin), newest)))
            one = write(client, index, batch)
            documents, size = documents + one.documents, size + one.bytes
            located += sum("position" in document for _, document in batch)
    return Written(documents, size), located


def _require_all(client: Elasticsearch, index: str, registered: int, written: int) -> None:
    """Every document that was written is there; vehicles registered meanwhile wait for the feed's turn."""
    found = int(client.count(index=index)["count"])
    if found != written or registered < written:
        message = (
            f"the new search index holds {found} of {written} documents for {registered} vehicles; "
            "the one before stays"
        )
        raise IndexNotWrittenError(message)


def _switch(client: Elasticsearch, old: str | None, new: str) -> None:
    actions: list[dict[str, object]] = [
        {"add": {"index": new, "alias": SEARCH_ALIAS, "is_write_index": True}}
    ]
    if old is not None:
        actions.append({"remove": {"index": old, "alias": SEARCH_ALIAS}})
    client.indices.update_aliases(actions=actions)


def _remove_others(client: Elasticsearch, kept: str | None) -> None:
    for index in all_indices(client):
        if index != kept:
            _remove(client, index)


def _remove(client: Elasticsearch, index: str) -> None:
    client.options(ignore_status=404).indices.delete(index=index)


def _give_up(client: Elasticsearch, index: str) -> None:
    """Remove a half-built index, but not one that the alias names: a lost answer may hide a done switch.

    What cannot be removed now, the next rebuild removes.
    """
    with suppress(*FAILURES):
        if current_index(client) != index:
            _remove(client, index)
