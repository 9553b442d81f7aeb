"""ClickHouse's `telemetry` by the day: how to name a range of days in a query, and what lies in one."""

from datetime import date
from typing import Final

from clickhouse_connect.driver.client import Client

from telematics.names import ANALYTICS_DATABASE

TELEMETRY: Final = f"{ANALYTICS_DATABASE}.telemetry"
WITHIN_DAYS: Final = "time >= {first:DateTime64(3, 'UTC')} and time < {until:DateTime64(3, 'UTC')}"
"""Condition that leaves other days' partitions unread; its parameters come from `day_bounds`."""


def day_bounds(first: date, until: date) -> dict[str, str]:
    """Parameters of `WITHIN_DAYS`: from the first day to the one after the last."""
    return {"first": f"{first} 00:00:00", "until": f"{until} 00:00:00"}


def counts_by_day(client: Client, query: str, parameters: dict[str, str] | None = None) -> dict[date, int]:
    """What a query of a day and a number says, as a dictionary."""
    return {row[0]: int(row[1]) for row in client.query(query, parameters=parameters).result_rows}


def row_counts(client: Client, first: date, until: date) -> dict[date, int]:
    """Rows of each day that has any, `first` (inclusive) to `until` (exclusive)."""
    return counts_by_day(
        client,
        f"select toDate(time, 'UTC'), count() from {TELEMETRY} where {WITHIN_DAYS} group by 1",
        day_bounds(first, until),
    )
