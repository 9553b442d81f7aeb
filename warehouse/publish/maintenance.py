"""Each vehicle's newest predictions and health score, from the models' tables, as JSON ready to publish.

Rows are turned into JSON as they arrive: 100,000 vehicles are then some 150 MB of bytes instead of several
times that in Python objects. What is not a number becomes null, so no document can contain NaN. A row whose
JSON columns cannot be read is left out and counted: one damaged row must not stop the fleet.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Any

import orjson
from clickhouse_connect.driver.client import Client

from telematics.names import ANALYTICS_DATABASE

_PREDICTION_COLUMNS = (
    "component",
    "risk_level",
    "risk_30",
    "risk_90",
    "estimated_failure",
    "earliest_failure",
    "latest_failure",
    "confidence",
    "data_sufficiency",
    "reason",
    "evidence",
    "model_id",
    "trained_on",
)
_HEALTH_COLUMNS = ("health_score", "parts", "rule", "is_capped")


def _newest(table: str, columns: Iterable[str], order: str) -> str:
    """The rows of each vehicle's newest `as_of`, a vehicle's together.

    `prewhere` by hand: ClickHouse does not move a condition with a subquery there by itself, and would then
    read the long text columns of every day that was ever scored.
    """
    return (
        f"select vin, as_of, {', '.join(columns)} from {ANALYTICS_DATABASE}.{table} "
        f"prewhere (vin, as_of) in (select vin, max(as_of) from {ANALYTICS_DATABASE}.{table} "
        f"where as_of <= {{as_of:Date}} group by vin) order by {order}"
    )


_PREDICTIONS = _newest("maintenance_predictions", _PREDICTION_COLUMNS, "vin, component")
_HEALTH = _newest("health_scores", _HEALTH_COLUMNS, "vin")


@dataclass(slots=True)
class Sections:
    """One section of the documents, by VIN."""

    by_vin: dict[str, orjson.Fragment] = field(default_factory=dict)
    unreadable_count: int = 0
    """Rows left out because a JSON column of theirs cannot be read."""


class _UnreadableError(ValueError):
    """A JSON column does not hold what it should."""


def read_maintenance(client: Client, as_of: date) -> Sections:
    """Every vehicle's predictions of its newest scored day on or before `as_of`."""
    sections = Sections()
    for vin, rows in groupby(_rows(client, _PREDICTIONS, as_of), key=itemgetter(0)):
        scored_on: date | None = None
        predictions = []
        for _, scored_on, *values in rows:  # noqa: B007 - the last one is used below
            try:
                predictions.append(_fragment(_prediction(values)))
            except (ValueError, TypeError):
                sections.unreadable_count += 1
        if predictions:
            section = {"as_of": scored_on, "predictions": predictions}
            sections.by_vin[vin] = _fragment(section)
    return sections


def read_health(client: Client, as_of: date) -> Sections:
    """Every vehicle's health score of its newest scored day on or before `as_of`."""
    sections = Sections()
    for vin, scored_on, score, parts, rule, is_capped in _rows(client, _HEALTH, as_of):
        try:
            section = _fragment(
                {
                    "as_of": scored_on,
                    "score": score,
                    "parts": _json_list(parts),
                    "rule": rule,
                    "is_capped": is_capped,
                }
            )
        except (ValueError, TypeError):
            sections.unreadable_count += 1
        else:
            sections.by_vin[vin] = section
    return sections


def _prediction(values: Iterable[Any]) -> Mapping[str, Any]:
    document = dict(zip(_PREDICTION_COLUMNS, values, strict=True))
    document["evidence"] = _json_list(document["evidence"])
    document["trained_on"] = _trained_on(document["trained_on"])
    return document


def _fragment(value: object) -> orjson.Fragment:
    """The value as JSON, to be put into a document as it is.

    As text, which is a copy: orjson shrinks its own buffer in place, and what that leaves of the heap between
    100,000 of them is 4 kB each (measured: 388 MB for 100,000 health scores of 250 bytes).
    """
    return orjson.Fragment(orjson.dumps(value).decode())


@lru_cache(maxsize=64)
def _trained_on(text: str) -> Mapping[str, Any]:
    """A model's training data; the same text stands in every row that the model scored."""
    value = _json(text)
    if not isinstance(value, dict):
        message = "trained_on is not a JSON object"
        raise _UnreadableError(message)
    return value


def _json_list(text: str) -> list[Any]:
    value = _json(text)
    if not isinstance(value, list):
        message = "the column is not a JSON list"
        raise _UnreadableError(message)
    return value


def _json(text: str) -> Any:
    """The value; NaN and the infinities, which Python's writer lets through, as null."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text, parse_constant=lambda _: None)


def _rows(client: Client, query: str, as_of: date) -> Iterator[tuple[Any, ...]]:
    """The query's rows, block by block, so that all of them are never in memory at once."""
    with client.query_row_block_stream(query, parameters={"as_of": as_of.isoformat()}) as blocks:
        for block in blocks:
            yield from block
