"""Vehicles of these tests' own in the session's search index."""

import uuid
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import orjson
import pytest
import redis
from elasticsearch import Elasticsearch, NotFoundError

from telematics.names import SEARCH_ALIAS, live_key
from telematics.settings import Settings
from warehouse.clients import timescale
from warehouse.search import rebuild
from warehouse.search.index import connected

TODAY = date(2026, 1, 1)

Register = Callable[..., str]
Say = Callable[..., None]
Document = Callable[[str], dict[str, Any] | None]


@pytest.fixture
def search(search_stack: Settings) -> Iterator[Elasticsearch]:
    with connected(search_stack) as client:
        yield client


@pytest.fixture
def register(search_stack: Settings) -> Register:
    """Registers a vehicle; returns its VIN."""

    def make(make: str | None = "Honda", model: str | None = "Accord", year: int | None = 2019) -> str:
        vin = f"WS{uuid.uuid4().hex[:15].upper()}"
        with timescale(search_stack) as connection:
            connection.execute(
                "insert into vehicles (vin, origin, make, model, model_year) values (%s, 'live', %s, %s, %s)",
                [vin, make, model, year],
            )
        return vin

    return make


@pytest.fixture
def say(search_stack: Settings) -> Iterator[Say]:
    """Puts signals into the live state as `piston live` does: name=(device time in ms, value)."""
    with redis.Redis.from_url(search_stack.valkey_url()) as connection:

        def put(vin: str, **signals: tuple[int, Any]) -> None:
            fields = {name: b"%d|%s" % (at, orjson.dumps(value)) for name, (at, value) in signals.items()}
            connection.hset(live_key(vin), mapping=fields)

        yield put


@pytest.fixture
def document(search: Elasticsearch) -> Document:
    """A vehicle's document as the alias has it, None where there is none."""

    def read(vin: str) -> dict[str, Any] | None:
        try:
            return dict(search.get(index=SEARCH_ALIAS, id=vin)["_source"])
        except NotFoundError:
            return None

    return read


@pytest.fixture
def build(search_stack: Settings) -> Callable[..., Any]:
    return lambda **how: rebuild(search_stack, TODAY, **how)
