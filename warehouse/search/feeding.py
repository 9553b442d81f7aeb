"""Live state into the index, in bulk, every few seconds.

STRATEGY. A sweep reads the live fields of every vehicle and writes those that changed since the sweep before;
what a vehicle said in between is one write. 100,000 vehicles are read in about a second, so a sweep never
follows the one before at once: it rests at least as long as it worked. The rebuild makes documents from the
same fields; when the alias has moved to a new index, everything counts as changed once.

Nothing depends on this: where Elasticsearch, Valkey or TimescaleDB does not answer, the next sweep tries
again, and what was missed is still in the live state.
"""

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from elasticsearch import Elasticsearch

from telematics.errors import UnavailableError
from telematics.settings import Settings
from warehouse import clients
from warehouse.search import sources
from warehouse.search.documents import (
    LIVE_FIELDS,
    Document,
    Known,
    Vehicle,
    build_document,
    merge_live,
    parse_live,
)
from warehouse.search.index import BULK_DOCUMENTS, connected, current_index, write

_REGISTRY_S: Final = 60.0
"""How old the list of vehicles may be."""
REQUEST_S: Final = 20.0
"""Patience with one request; a bulk of 1,000 documents takes 0.1 s on an idle machine."""
_LONGEST_WAIT_S: Final = 30.0

_log = structlog.get_logger("warehouse.search")


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one sweep did."""

    vehicles: int
    changed: int
    written: int
    stale: int
    """Not written because the index knows something newer."""
    seconds: float


class Feeder:
    """Keeps documents as new as the live state; one sweep at a time."""

    def __init__(self, settings: Settings, *, request_s: float = REQUEST_S) -> None:
        self._settings = settings
        self._request_s = request_s
        self._vehicles: Mapping[str, Vehicle] = {}
        self._read_at: float | None = None
        self._index: str | None = None
        self._fed: dict[str, int] = {}
        """VIN → hash of the live fields that its document has."""

    def sweep(self) -> Sweep:
        """Write what changed since the last sweep.

        Raises:
            UnavailableError: a store does not answer; what was not written counts as changed next time.
        """
        started = time.monotonic()
        with connected(self._settings, timeout_s=self._request_s) as client:
            index = current_index(client)
            if index is None:
                message = "there is no search index yet; `piston up` makes one"
                raise UnavailableError(message)
            if index != self._index:
                self._index, self._fed = index, {}
            vins = list(self._registry())
            with sources.live_state(self._settings) as live:
                stored = sources.read_live(live, vins)
            changed = [
                (vin, fields)
                for vin, fields in zip(vins, stored, strict=True)
                if any(fields) and self._fed.get(vin) != hash(fields)
            ]
            written = stale = 0
            for some in sources.batches(changed, BULK_DOCUMENTS):
                one = write(client, index, self._documents(client, index, dict(some)))
                self._fed.update((vin, hash(fields)) for vin, fields in some)
                written, stale = written + one.documents, stale + one.stale
        return Sweep(len(vins), len(changed), written, stale, time.monotonic() - started)

    def _registry(self) -> Iterable[str]:
        now = time.monotonic()
        if self._read_at is None or now - self._read_at > _REGISTRY_S:
            with clients.timescale(self._settings) as connection:
                self._vehicles = {vehicle.vin: vehicle for vehicle in sources.read_vehicles(connection)}
            self._read_at = now
        return self._vehicles

    def _documents(
        self, client: Elasticsearch, index: str, changed: Mapping[str, sources.Stored]
    ) -> list[tuple[int, Document]]:
        answer = client.mget(index=index, ids=list(changed))
        documents = []
        for found in answer["docs"]:
            vin = found["_id"]
            live = parse_live(dict(zip(LIVE_FIELDS, changed[vin], strict=True)))
            if found.get("found"):
                document = merge_live(found["_source"], live)
            else:  # registered since the last rebuild, which will know more of it
                document = build_document(self._vehicles[vin], Known(), live)
            documents.append((live.version, document))
        return documents


def run_feeder(settings: Settings, stop: threading.Event, *, request_s: float = REQUEST_S) -> None:
    """Sweep until stopped; nothing that a store does ends it."""
    feeder, failures = Feeder(settings, request_s=request_s), 0
    while not stop.is_set():
        started = time.monotonic()
        try:
            done = feeder.sweep()
        except UnavailableError as error:
            failures += 1
            if failures == 1:  # once an outage, not once a try
                _log.warning("search_feed_waits", reason=str(error))
            rest_s = min(_LONGEST_WAIT_S, settings.search_feed_s * failures)
        else:
            if failures:
                _log.info("search_feed_goes_on", after_failures=failures)
            failures = 0
            if done.written:
                _log.debug(
                    "search_fed", written=done.written, stale=done.stale, seconds=round(done.seconds, 3)
                )
            worked_s = time.monotonic() - started
            rest_s = max(settings.search_feed_s - worked_s, worked_s)
        stop.wait(rest_s)
