"""What a scoring found, into ClickHouse: a day's rows are replaced as a whole.

The rows go into a twin of the table first and are counted there; one REPLACE PARTITION then swaps the day in,
so a reader sees the last scoring or this one, never a part of either, and a scoring done twice leaves one.
There must be one writer at a time: Dagster's pool sees to it.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from clickhouse_connect.driver.client import Client

from telematics.errors import ConflictError
from telematics.names import ANALYTICS_DATABASE
from telematics.settings import Settings
from warehouse import clients

Row = Mapping[str, Any]

PREDICTIONS: Final = "maintenance_predictions"
PREDICTION_COLUMNS: Final = (
    "vin", "component", "as_of", "origin", "risk_level", "risk_30", "risk_90", "estimated_failure",
    "earliest_failure", "latest_failure", "confidence", "data_sufficiency", "reason", "evidence", "survival",
    "model_id", "trained_on", "scored_at",
)  # fmt: skip
HEALTH_SCORES: Final = "health_scores"
HEALTH_COLUMNS: Final = (
    "vin", "as_of", "origin", "health_score", "parts", "rule", "is_capped", "scored_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class WriteReport:
    """One day written."""

    as_of: date
    row_count: int
    seconds: float


def write_predictions(settings: Settings, as_of: date, rows: Iterable[Row]) -> WriteReport:
    """Replace the predictions of a day.

    Args:
        settings: where ClickHouse is.
        as_of: the day; every row's `as_of`.
        rows: one mapping for each vehicle and component, with the table's columns.

    Raises:
        ConflictError: a row is of another day, or a column is missing; nothing was changed.
        UnavailableError: ClickHouse does not answer; the day is as it was.
    """
    return _replace_day(settings, PREDICTIONS, PREDICTION_COLUMNS, as_of, rows)


def write_health_scores(settings: Settings, as_of: date, rows: Iterable[Row]) -> WriteReport:
    """Replace the health scores of a day; arguments and errors as in `write_predictions`."""
    return _replace_day(settings, HEALTH_SCORES, HEALTH_COLUMNS, as_of, rows)


def as_values(rows: Iterable[Row], columns: tuple[str, ...], as_of: date) -> list[list[Any]]:
    """The rows as lists in the columns' order.

    Raises:
        ConflictError: a row is of another day or lacks a column.
    """
    values = []
    for row in rows:
        missing = [name for name in columns if name not in row]
        if missing:
            message = f"a row of {as_of} lacks {', '.join(missing)}; nothing was written"
            raise ConflictError(message)
        if row["as_of"] != as_of:
            message = f"a row of {row['as_of']} among those of {as_of}; nothing was written"
            raise ConflictError(message)
        values.append([row[name] for name in columns])
    return values


def _replace_day(
    settings: Settings, table: str, columns: tuple[str, ...], as_of: date, rows: Iterable[Row]
) -> WriteReport:
    started = time.monotonic()
    values = as_values(rows, columns, as_of)
    with clients.clickhouse(settings) as client:
        whole = f"{ANALYTICS_DATABASE}.{table}"
        staged = f"{whole}__{as_of:%Y%m%d}"
        client.command(f"drop table if exists {staged} sync")  # of a scoring that was killed
        if not values:
            client.command(f"alter table {whole} drop partition '{as_of}'")
            return WriteReport(as_of, 0, time.monotonic() - started)
        client.command(f"create table {staged} as {whole}")
        try:
            client.insert(staged, values, column_names=columns)
            _refuse_miscount(client, staged, len(values))
            client.command(f"alter table {whole} replace partition '{as_of}' from {staged}")
        finally:
            client.command(f"drop table if exists {staged} sync")
    return WriteReport(as_of, len(values), time.monotonic() - started)


def _refuse_miscount(client: Client, staged: str, expected: int) -> None:
    found = int(client.query(f"select count() from {staged}").result_rows[0][0])
    if found != expected:
        message = f"{staged} holds {found} rows of {expected} written; the day is as it was, score it again"
        raise ConflictError(message)
