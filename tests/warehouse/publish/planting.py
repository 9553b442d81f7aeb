"""Rows of the tables that publishing reads, planted in ClickHouse."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

from clickhouse_connect.driver.client import Client

# the columns of dbt's marts that publishing reads; used only while dbt has not built the real ones
MARTS = {
    "vehicle_analytics": "date Date, vin String, hard_brakes UInt16, hard_accels UInt16, trip_count UInt16, "
    "distance_m Float64, driving_s Float64, reports_harsh_events Bool",
    "odometer_readings": "date Date, vin String, source LowCardinality(String), odometer Float64, "
    "last_read_at DateTime64(3, 'UTC'), is_primary Bool",
}

EVIDENCE = {
    "text": "lowest crank voltage 8.9 V on 2026-01-12, fleet P2",
    "feature": "crank_min_v_28d",
    "value": 8.9,
    "unit": "V",
    "date": "2026-01-12",
    "fleet_quantile": 0.02,
    "contribution": 0.8,
}
TRAINED_ON = {"origins": ["simulated"], "vehicle_count": 1000, "failure_count": 412}
PART = {
    "component": "battery",
    "survival_90": 0.93,
    "weight": 0.6,
    "points_lost": 4.2,
    "status": "known",
    "reason": "",
}


@contextmanager
def standing_marts(client: Client) -> Iterator[None]:
    """Both marts for a while, made here when dbt has not."""
    made = []
    for name, structure in MARTS.items():
        if client.command(f"exists table analytics.{name}") == 0:
            client.command(
                f"create table analytics.{name} ({structure}) engine = MergeTree order by (vin, date)"
            )
            made.append(name)
    yield
    for name in made:
        client.command(f"drop table analytics.{name} sync")


def plant_prediction(client: Client, vin: str, as_of: date, **columns: Any) -> None:
    """One vehicle's prediction for one component, as scoring writes it."""
    row: dict[str, Any] = {
        "vin": vin,
        "component": "battery",
        "as_of": as_of,
        "origin": "simulated",
        "risk_level": "medium",
        "risk_30": 0.2,
        "risk_90": 0.55,
        "estimated_failure": date(2026, 3, 15),
        "earliest_failure": date(2026, 1, 20),
        "latest_failure": None,
        "confidence": 0.55,
        "data_sufficiency": 0.9,
        "reason": "",
        "evidence": json.dumps([EVIDENCE]),
        "survival": [1.0, 0.95],
        "model_id": "20260101T000000Z-abc",
        "trained_on": json.dumps(TRAINED_ON),
        "scored_at": datetime(2026, 1, 31, tzinfo=UTC),
        **columns,
    }
    client.insert("analytics.maintenance_predictions", [list(row.values())], column_names=list(row))


def plant_health(client: Client, vin: str, as_of: date, **columns: Any) -> None:
    """One vehicle's health score, as scoring writes it."""
    row: dict[str, Any] = {
        "vin": vin,
        "as_of": as_of,
        "origin": "simulated",
        "health_score": 96,
        "parts": json.dumps([PART]),
        "rule": "100 * prod S^w",
        "is_capped": False,
        "scored_at": datetime(2026, 1, 31, tzinfo=UTC),
        **columns,
    }
    client.insert("analytics.health_scores", [list(row.values())], column_names=list(row))
