"""Elasticsearch as this package and the API use it: connections, bulk requests, indices and their alias."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from elastic_transport import HttpxAsyncHttpNode, TransportError
from elasticsearch import ApiError, AsyncElasticsearch, Elasticsearch

from telematics.errors import UnavailableError
from telematics.names import SEARCH_ALIAS
from telematics.settings import Settings
from warehouse.search.documents import Document
from warehouse.search.sources import ConsentMark

FAILURES: Final = (ApiError, TransportError)
"""What the client raises: the server refuses, or does not answer."""
BULK_DOCUMENTS: Final = 1_000
_TIMEOUT_S: Final = 60.0
_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_TOO_MANY: Final = 429
_PATIENCE_S: Final = (0.5, 1.0, 2.0, 4.0)


class IndexNotWrittenError(UnavailableError):
    """Elasticsearch took a bulk request but not every document in it."""


@dataclass(frozen=True, slots=True)
class Written:
    """Outcome of bulk requests."""

    documents: int = 0
    bytes: int = 0
    stale: int = 0
    """Refused because the index holds a newer version: what ought to happen to them."""


def _credentials(settings: Settings) -> tuple[str, str]:
    return settings.search_user, settings.search_password.get_secret_value()


def async_client(settings: Settings, *, timeout_s: float) -> AsyncElasticsearch:
    """A client for the API: it asks once and gives up in time. To be closed by the caller."""
    return AsyncElasticsearch(
        settings.search_address,
        basic_auth=_credentials(settings),
        node_class=HttpxAsyncHttpNode,  # httpx is here already; the default needs another package
        request_timeout=timeout_s,
        max_retries=0,
        connections_per_node=20,
    )


@contextmanager
def connected(settings: Settings, *, timeout_s: float = _TIMEOUT_S) -> Iterator[Elasticsearch]:
    """A client for the length of a `with`; its errors become `UnavailableError`.

    Raises:
        UnavailableError: Elasticsearch does not answer, or refuses.
    """
    client = Elasticsearch(
        settings.search_address,
        basic_auth=_credentials(settings),
        request_timeout=timeout_s,
        max_retries=0,
    )
    try:
        yield client
    except FAILURES as error:
        message = (
            f"Elasticsearch at {settings.search_address} does not do what the index needs "
            f"({reason(error)}); see `piston status`, or check PISTON_SEARCH_PORT and its password"
        )
        raise UnavailableError(message) from error
    finally:
        client.close()


def reason(error: Exception) -> str:
    """What went wrong in a few words, without what was sent."""
    if isinstance(error, ApiError):
        return f"{error.status_code} {error.error}"
    return type(error).__name__


def current_index(client: Elasticsearch) -> str | None:
    """The index behind the alias; None where there is none."""
    found = client.options(ignore_status=_NOT_FOUND).indices.get_alias(name=SEARCH_ALIAS)
    return None if found.meta.status == _NOT_FOUND else next(iter(found.body))


def all_indices(client: Elasticsearch) -> list[str]:
    """Every index of vehicles, half-built and forgotten ones too, in the order of their making."""
    return sorted(client.indices.get(index=f"{SEARCH_ALIAS}-*", features="aliases"), key=index_number)


def index_number(name: str) -> int:
    """The number in an index's name; -1 for a name that none of ours has."""
    text = name.removeprefix(f"{SEARCH_ALIAS}-")
    return int(text) if text.isdecimal() else -1


_READ_AT: Final = "consents_read_at"
_GRANT_ID: Final = "consents_up_to_grant_id"
BEFORE_ALL: Final = ConsentMark(datetime(1970, 1, 1, tzinfo=UTC), 0)
"""Of an index whose documents hold no consents."""


def mark_document(mark: ConsentMark) -> dict[str, Any]:
    """The mark as an index's mapping keeps it (`_meta`)."""
    return {_READ_AT: mark.read_at.isoformat(), _GRANT_ID: mark.grant_id}


def parse_mark(mapping: Mapping[str, Any]) -> ConsentMark:
    """The mark that a mapping keeps; `BEFORE_ALL` where it keeps none."""
    kept = mapping.get("_meta", {})
    if _READ_AT not in kept:
        return BEFORE_ALL
    return ConsentMark(datetime.fromisoformat(kept[_READ_AT]), int(kept[_GRANT_ID]))


def write(client: Elasticsearch, index: str, documents: Iterable[tuple[int, Document]]) -> Written:
    """Write documents, each under its VIN with its version, in one request.

    Raises:
        IndexNotWrittenError: a document was refused for another reason than that a newer one is there.
    """
    lines = []
    for version, document in documents:
        action = {"_id": document["vin"], "version": version, "version_type": "external_gte"}
        lines += [orjson.dumps({"index": action}), orjson.dumps(document)]
    if not lines:
        return Written()
    body = b"\n".join([*lines, b""])
    answer = _bulk(client, index, body)
    count = len(lines) // 2
    if not answer.body["errors"]:
        return Written(count, len(body))
    return _told_apart(answer.body["items"], count, len(body))


def _bulk(client: Elasticsearch, index: str, body: bytes) -> Any:
    """The answer to a bulk request; a server that asks for patience (429) is asked again a little later."""
    for wait_s in (*_PATIENCE_S, None):
        try:
            return client.perform_request(
                "POST",
                f"/{index}/_bulk",
                params={"filter_path": "errors,items.*.status,items.*.error.type"},
                headers={"content-type": "application/x-ndjson", "accept": "application/json"},
                body=body,
            )
        except ApiError as error:
            if error.status_code != _TOO_MANY or wait_s is None:
                raise
            time.sleep(wait_s)
    raise AssertionError  # the last turn returns or raises


def _told_apart(items: Iterable[Mapping[str, Any]], count: int, size: int) -> Written:
    failed = [item["index"] for item in items if item["index"]["status"] >= 300]
    stale = sum(item["status"] == _CONFLICT for item in failed)
    if stale < len(failed):
        kinds = sorted({item["error"]["type"] for item in failed if item["status"] != _CONFLICT})
        message = f"Elasticsearch refused {len(failed) - stale} of {count} documents: {', '.join(kinds)}"
        raise IndexNotWrittenError(message)
    return Written(count - stale, size, stale)


def counts(settings: Settings) -> int | None:
    """Documents behind the alias; None where nothing was ever built.

    Raises:
        UnavailableError: Elasticsearch does not answer.
    """
    with connected(settings) as client:
        if current_index(client) is None:
            return None
        client.indices.refresh(index=SEARCH_ALIAS)
        return int(client.count(index=SEARCH_ALIAS)["count"])
