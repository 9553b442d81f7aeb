"""The hypertable's columns as COPY BINARY writes them: names, types and order, said once.

The order is that of our COPY statement, not of the table: columns whose size never varies come first, so that
one precompiled `struct.Struct` packs them, and the few of varying size follow.

Type oids are PostgreSQL's own, fixed since the types exist (`pg_type.dat`).
"""

from dataclasses import dataclass
from typing import Final

from telematics.imei import IMEI_LENGTH

TABLE: Final = "telemetry"


@dataclass(frozen=True, slots=True)
class FixedColumn:
    """A column whose values all take the same number of bytes.

    Attributes:
        name: as in the table.
        oid: of its type.
        code: the `struct` code of its binary format.
    """

    name: str
    oid: int
    code: str


@dataclass(frozen=True, slots=True)
class VariableColumn:
    """A column whose values vary in size."""

    name: str
    oid: int


BOOL, INT8, INT2, INT4, TEXT = 16, 20, 21, 23, 25
FLOAT4, FLOAT8, TEXT_ARRAY, TIMESTAMPTZ, JSONB = 700, 701, 1009, 1184, 3802

VIN_LENGTH: Final = 17
_IMEI: Final = f"{IMEI_LENGTH}s"
_VIN: Final = f"{VIN_LENGTH}s"

FIXED_COLUMNS: Final = (
    FixedColumn("time", TIMESTAMPTZ, "q"),
    FixedColumn("device_id", TEXT, _IMEI),
    FixedColumn("vin", TEXT, _VIN),
    FixedColumn("lat", FLOAT8, "d"),
    FixedColumn("lng", FLOAT8, "d"),
    FixedColumn("speed_mph", FLOAT4, "f"),
    FixedColumn("heading", INT2, "h"),
    FixedColumn("altitude_ft", FLOAT4, "f"),
    FixedColumn("odometer", FLOAT8, "d"),
    FixedColumn("fuel_pct", FLOAT4, "f"),
    FixedColumn("battery_v", FLOAT4, "f"),
    FixedColumn("event_id", INT4, "i"),
    FixedColumn("priority", INT2, "h"),
    FixedColumn("satellites", INT2, "h"),
    FixedColumn("hdop", FLOAT4, "f"),
    FixedColumn("is_valid", BOOL, "?"),
    FixedColumn("ignition", BOOL, "?"),
    FixedColumn("movement", BOOL, "?"),
    FixedColumn("rpm", INT4, "i"),
    FixedColumn("coolant_c", INT2, "h"),
    FixedColumn("engine_load_pct", INT2, "h"),
    FixedColumn("maf_gps", FLOAT4, "f"),
    FixedColumn("ambient_c", INT2, "h"),
    FixedColumn("fuel_trim_pct", INT2, "h"),
    FixedColumn("hv_soc_pct", INT2, "h"),
    FixedColumn("odometer_gnss_m", INT8, "q"),
    FixedColumn("odometer_can_m", INT8, "q"),
    FixedColumn("odometer_obd_m", INT8, "q"),
    FixedColumn("crank_v", FLOAT4, "f"),
    FixedColumn("charge_v", FLOAT4, "f"),
    FixedColumn("harsh_kind", INT2, "h"),
    FixedColumn("harsh_value", FLOAT4, "f"),
    FixedColumn("received_at", TIMESTAMPTZ, "q"),
    FixedColumn("content_hash", INT8, "q"),
    FixedColumn("stream_position", INT8, "q"),
)

VARIABLE_COLUMNS: Final = (
    VariableColumn("odometer_source", TEXT),
    VariableColumn("dtc_codes", TEXT_ARRAY),
    VariableColumn("raw_data", JSONB),
)

COLUMNS: Final = (*FIXED_COLUMNS, *VARIABLE_COLUMNS)
COLUMN_NAMES: Final = tuple(column.name for column in COLUMNS)

IDENTITY: Final = ("device_id", "time", "event_id", "content_hash")
"""What makes a row one and the same in every tier (`telemetry_identity`)."""

COLUMN_LIST: Final = ", ".join(COLUMN_NAMES)

POSTGRES_EPOCH_MS: Final = 946_684_800_000
"""2000-01-01T00:00Z, from which PostgreSQL counts its microseconds."""


def postgres_microseconds(epoch_ms: int) -> int:
    """A moment in milliseconds since 1970 as the binary value of a `timestamptz`."""
    return (epoch_ms - POSTGRES_EPOCH_MS) * 1000


def epoch_milliseconds(microseconds: int) -> int:
    """The inverse of `postgres_microseconds`."""
    return microseconds // 1000 + POSTGRES_EPOCH_MS
