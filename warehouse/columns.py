"""The columns of `telemetry` and how each crosses from TimescaleDB to ClickHouse.

The crossing is `warehouse.crossing`: COPY's binary format on one side, Native blocks on the other, so that no
number becomes text on its way. Three columns need care: times lose what is less than a millisecond; arrays
are joined by a separator that no trouble code contains; `raw_data` is NULL on one side and '' on the other.
"""

from typing import Final, NamedTuple

from ingest.stream.readings import PARTNER_PREFIX
from warehouse.crossing import Wire

SEPARATOR: Final = "\x1f"
"""ASCII unit separator between trouble codes on the wire."""


class Column(NamedTuple):
    """One column that is copied as it is; how it leaves TimescaleDB and how ClickHouse reads it."""

    name: str
    wire_type: str
    """ClickHouse type on the wire."""
    select: str | None = None
    """PostgreSQL expression, where it is not the column itself."""
    read: str | None = None
    """ClickHouse expression over the wire row (alias `wire`), where it is not the column itself."""
    is_json: bool = False
    """jsonb in TimescaleDB."""

    @property
    def wire(self) -> Wire:
        """How PostgreSQL writes it."""
        if self.is_json:
            return Wire.JSON
        is_nullable = self.wire_type.startswith(_NULLABLE)
        return _WIRES[self.wire_type[len(_NULLABLE) : -1] if is_nullable else self.wire_type]


_NULLABLE: Final = "Nullable("
_MOMENT: Final = "DateTime64(3, 'UTC')"
_WIRES: Final = {
    _MOMENT: Wire.MOMENT,
    "Float64": Wire.EIGHT,
    "Int64": Wire.EIGHT,
    "Float32": Wire.FOUR,
    "Int32": Wire.FOUR,
    "Int16": Wire.TWO,
    "Bool": Wire.ONE,
    "String": Wire.TEXT,
}


def _nullable(kind: str, *names: str) -> tuple[Column, ...]:
    return tuple(Column(name, f"Nullable({kind})") for name in names)


COPIED: Final = (
    Column("time", _MOMENT),
    Column("device_id", "String"),
    *_nullable("Float64", "lat", "lng"),
    *_nullable("Float32", "speed_mph"),
    *_nullable("Int16", "heading"),
    *_nullable("Float32", "altitude_ft"),
    *_nullable("Float64", "odometer"),
    *_nullable("Float32", "fuel_pct", "battery_v"),
    Column(
        "dtc_codes",
        "Nullable(String)",
        select="array_to_string(dtc_codes, e'\\x1f')",
        read="if(ifNull(wire.dtc_codes, '') = '', [], splitByChar('\\x1f', assumeNotNull(wire.dtc_codes)))",
    ),
    Column("event_id", "Int32"),
    *_nullable("Int16", "priority", "satellites"),
    *_nullable("Float32", "hdop"),
    *_nullable("Bool", "is_valid", "ignition", "movement"),
    *_nullable("Int32", "rpm"),
    *_nullable("Int16", "coolant_c", "engine_load_pct"),
    *_nullable("Float32", "maf_gps"),
    *_nullable("Int16", "ambient_c", "fuel_trim_pct", "hv_soc_pct"),
    *_nullable("Int64", "odometer_gnss_m", "odometer_can_m", "odometer_obd_m"),
    *_nullable("String", "odometer_source"),
    *_nullable("Float32", "crank_v", "charge_v"),
    *_nullable("Int16", "harsh_kind"),
    *_nullable("Float32", "harsh_value"),
    Column("raw_data", "Nullable(String)", read="ifNull(wire.raw_data, '')", is_json=True),
    Column("received_at", _MOMENT),
    Column("content_hash", "Int64"),
    Column("stream_position", "Int64"),
)
"""Every column of the hypertable except `vin`, in its order."""

IDENTITY: Final = ("device_id", "time", "event_id", "content_hash")
"""What makes a row itself; every tier deduplicates by it."""

RESOLVED: Final = ("vin", "origin")
"""Columns that a load works out again from the installations in force at the record's time."""

OWNER: Final = "owner"
"""What a row's vehicle is looked up by: the device; or `OWNER_VIN` and the VIN that a partner posted for; or
`LOADED_VIN` and the VIN that a loaded history names."""
OWNER_VIN: Final = "vin:"
LOADED_VIN: Final = "loaded:"
BACKFILL_PREFIX: Final = "backfill:"
"""What the `device_id` of a loaded row begins with, when its history names vehicles and no devices."""
_POSTED: Final = "posted_vin"
_FIRST_LETTER: Final = "a"
"""What names a row's vehicle instead of a device begins with a small letter."""

DERIVED: Final = ("dtc_known",)
"""Columns that only ClickHouse has: its arrays cannot be NULL."""


def copy_select() -> str:
    """The select list that writes one hot row onto the wire."""
    copied = ", ".join(column.select or column.name for column in COPIED)
    # an IMEI is digits; asking for each prefix instead costs a quarter of the whole COPY
    return f"{copied}, case when device_id collate \"C\" >= '{_FIRST_LETTER}' then vin end as {_POSTED}"


def wire_columns() -> tuple[tuple[str, str, Wire], ...]:
    """The wire row's columns in the order of `copy_select`: name, ClickHouse type, PostgreSQL's form."""
    copied = ((column.name, column.wire_type, column.wire) for column in COPIED)
    return (*copied, (_POSTED, "Nullable(String)", Wire.TEXT))


def wire_structure() -> str:
    """The wire row as ClickHouse's `input()` wants it."""
    return ", ".join(f"{name} {kind}" for name, kind, _ in wire_columns())


def _owner(device_id: str, vin: str) -> str:
    """ClickHouse expression of a row's owner."""
    return (
        f"multiIf(startsWith({device_id}, '{PARTNER_PREFIX}'), concat('{OWNER_VIN}', {vin}), "
        f"startsWith({device_id}, '{BACKFILL_PREFIX}'), concat('{LOADED_VIN}', {vin}), {device_id})"
    )


def read_select() -> str:
    """Expressions over the wire row (alias `wire`), named as `kept_select` names them."""
    owner = _owner("wire.device_id", f"ifNull(wire.{_POSTED}, '')")
    copied = ", ".join(f"{column.read or f'wire.{column.name}'} as {column.name}" for column in COPIED)
    return f"isNotNull(wire.dtc_codes) as dtc_known, {copied}, {owner} as {OWNER}"


def kept_select() -> str:
    """Columns of a row that ClickHouse already holds, in the order of `read_select`."""
    return ", ".join(
        [*DERIVED, *(column.name for column in COPIED), f"{_owner('device_id', 'vin')} as {OWNER}"]
    )
