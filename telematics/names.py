"""Names that cross a boundary between two packages: topics, tables, keys, databases.

They are part of the contract between releases (`docs/decisions/0001-names-and-layers.md`): change one
and you migrate data.
"""

from enum import StrEnum

KAFKA_PARTITIONS = 12


class Topic(StrEnum):
    """Kafka topics."""

    AVL_FRAMES = "telemetry.avl_frames.v1"
    """Key IMEI, value the frame exactly as received; headers `received_at`, `transport`."""
    READINGS = "telemetry.readings.v1"
    """Key device_id, JSON value; what partners and devices post over HTTP."""
    DEAD_LETTERS = "telemetry.dead_letters.v1"
    QUARANTINE = "telemetry.quarantine.v1"
    ALERTS = "telemetry.alerts.v1"
    COMMANDS = "device.commands.v1"
    RESPONSES = "device.responses.v1"


SINK_GROUP = "piston.sink"
LIVE_GROUP = "piston.live"
ALERTS_GROUP = "piston.alerts"
"""The writer of ClickHouse's `alerts`."""

TELEMETRY_DATABASE = "telemetry"
"""PostgreSQL database of the hot tier; Dagster keeps its own database beside it."""
DAGSTER_DATABASE = "dagster"
ANALYTICS_DATABASE = "analytics"
"""ClickHouse database of the warehouse."""
TIERED_POLICY = "tiered"
"""ClickHouse storage policy of `telemetry`: the volume `default` and then `COLD_VOLUME`."""
COLD_VOLUME = "cold"
"""ClickHouse volume of days past warm retention."""


WRITE_SCOPE = "telemetry:write"
"""Scope of a partner, and of an owner's grant to it, that lets it post a vehicle's readings."""


class Origin(StrEnum):
    """Where a vehicle's data comes from; kept in every tier and never mixed unasked."""

    LIVE = "live"
    RECORDED = "recorded"
    SIMULATED = "simulated"


class OdometerSource(StrEnum):
    """Which of the three odometers a device installation reports in `odometer`."""

    CAN = "can"
    """AVL 87, total mileage read from the CAN bus."""
    OBD = "obd"
    """AVL 389, OEM total mileage read over OBD."""
    GNSS = "gnss"
    """AVL 16, counted by the tracker; its start value is configurable, so it is no evidence."""


def live_key(vin: str) -> str:
    """Redis key of a vehicle's live state (a hash, see `ingest.live.state`)."""
    return f"live:{vin}"


def alert_state_key(vin: str, device_id: str) -> str:
    """Redis key of what the alert rules know of a device in a vehicle (see `ingest.alerts.memory`)."""
    return f"alert_state:{vin}:{device_id}"


LIVE_OFFSETS_KEY = "live_offsets"
"""Redis key of how far into the stream the live state reaches (a hash, see `ingest.live.offsets`)."""


def scores_key(vin: str) -> str:
    """Redis key of a vehicle's published daily figures (a JSON document, see `warehouse.publish`)."""
    return f"scores:{vin}"


SEARCH_ALIAS = "vehicles"
"""Elasticsearch's alias of the vehicles; the indices behind it are `vehicles-1`, `vehicles-2` and so on."""


def consent_term(client_id: str, scope: str) -> str:
    """What a vehicle's search document holds for each scope that its owner's consent gives a partner."""
    return f"{client_id} {scope}"
