"""Puts the template in place, and an empty index behind the alias where there is none yet."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

from elastic_transport import TransportError
from elasticsearch import ApiError, Elasticsearch

from telematics.errors import UnavailableError
from telematics.names import SEARCH_ALIAS
from telematics.settings import Settings

TEMPLATE: Final = SEARCH_ALIAS
_TIMEOUT_S: Final = 30.0
_MISSING: Final = 404


@cache
def template() -> dict[str, Any]:
    """The index template that this release holds."""
    document: dict[str, Any] = json.loads((Path(__file__).parent / "vehicles.json").read_text())
    return document


def head() -> int:
    """The template's version."""
    return int(template()["version"])


@contextmanager
def _connected(settings: Settings) -> Iterator[Elasticsearch]:
    client = Elasticsearch(
        settings.search_address,
        basic_auth=(settings.search_user, settings.search_password.get_secret_value()),
        request_timeout=_TIMEOUT_S,
    )
    try:
        yield client
    except (ApiError, TransportError) as error:
        message = (
            f"Elasticsearch at {settings.search_address} does not take the search schema "
            f"({type(error).__name__}); run `piston up`, check PISTON_SEARCH_PORT and "
            "PISTON_SEARCH_PASSWORD, or do without: PISTON_WITH_SEARCH=false"
        )
        raise UnavailableError(message) from error
    finally:
        client.close()


def current(settings: Settings) -> int:
    """The version of the template in place, 0 where there is none.

    Raises:
        UnavailableError: Elasticsearch does not let us in.
    """
    with _connected(settings) as client:
        return _version(client)


def _version(client: Elasticsearch) -> int:
    found = client.options(ignore_status=_MISSING).indices.get_index_template(name=TEMPLATE)
    if found.meta.status == _MISSING:
        return 0
    return int(found["index_templates"][0]["index_template"].get("version", 0))


def migrate(settings: Settings) -> tuple[int, int]:
    """Bring template and alias to this release; returns the template's version before and after.

    A new mapping holds for the next index: the one behind the alias stays as it is until the next rebuild.

    Raises:
        UnavailableError: Elasticsearch does not let us in.
    """
    with _connected(settings) as client:
        before = _version(client)
        if before != head():
            client.indices.put_index_template(name=TEMPLATE, **_arguments())
        if not client.indices.exists_alias(name=SEARCH_ALIAS):
            first = f"{SEARCH_ALIAS}-1"
            # one request: there is no moment with an index and without its alias
            made = client.options(ignore_status=400).indices.create(
                index=first, aliases={SEARCH_ALIAS: {"is_write_index": True}}
            )
            if made.meta.status == 400:  # left by a rebuild that was killed before its first switch
                client.indices.delete(index=first)
                client.indices.create(index=first, aliases={SEARCH_ALIAS: {"is_write_index": True}})
        return before, head()


def _arguments() -> dict[str, Any]:
    document = dict(template())
    document["meta"] = document.pop("_meta")
    return document


def remove(settings: Settings) -> None:
    """Take template, alias and every index of vehicles away.

    Raises:
        UnavailableError: Elasticsearch does not let us in.
    """
    with _connected(settings) as client:
        for index in client.options(ignore_status=_MISSING).indices.get(index=f"{SEARCH_ALIAS}-*"):
            client.options(ignore_status=_MISSING).indices.delete(index=index)
        client.options(ignore_status=_MISSING).indices.delete_index_template(name=TEMPLATE)
