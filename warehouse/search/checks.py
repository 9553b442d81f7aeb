"""Whether the search index holds the vehicles that it should."""

from datetime import UTC, datetime

from telematics.names import SEARCH_ALIAS
from telematics.settings import Settings
from warehouse import clients
from warehouse.checks import CheckResult
from warehouse.search.index import connected, current_index

OFF = CheckResult(True, "this stack runs without search")


def parity(settings: Settings) -> CheckResult:
    """The index holds every vehicle that was registered before it was made, and none that is not registered.

    Vehicles registered since are found when they first send something, or after the next rebuild.

    Raises:
        UnavailableError: Elasticsearch or TimescaleDB does not answer.
    """
    if not settings.with_search:
        return OFF
    with connected(settings) as client:
        index = current_index(client)
        if index is None:
            return CheckResult(False, "there is no search index: run piston up")
        client.indices.refresh(index=SEARCH_ALIAS)
        documents = int(client.count(index=SEARCH_ALIAS)["count"])
        made_ms = int(client.indices.get_settings(index=index)[index]["settings"]["index"]["creation_date"])
    made_at = datetime.fromtimestamp(made_ms / 1000, UTC)
    with clients.timescale(settings) as connection:
        row = connection.execute(
            "select count(*), count(*) filter (where created_at < %s) from vehicles", [made_at]
        ).fetchone()
    now, then = (0, 0) if row is None else row
    passed = then <= documents <= now
    return CheckResult(
        passed,
        f"{documents} documents for {then} vehicles when the index was made, {now} now",
        {"documents": documents, "vehicles_then": then, "vehicles_now": now},
    )
