"""The files of a history and their columns, exactly.

Units stand in the names (`_v` volts, `_c` degrees Celsius, `_s` seconds, `_m` metres, `_mi` miles). What each
signal means is told in dbt, beside the model `component_day_signals`, which holds the same columns.
"""

from typing import Final

import pyarrow as pa

from warehouse.backfill.errors import FolderError

VEHICLES: Final = "vehicles.parquet"
SIGNALS: Final = "component_day_signals.parquet"
SERVICE_RECORDS: Final = "service_records.parquet"

_MOMENT: Final = pa.timestamp("ms", tz="UTC")


def _columns(*required: tuple[str, pa.DataType], optional: tuple[str, ...] = ()) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=name in optional) for name, kind in required])


VOLTAGES: Final = ("crank_min_v", "crank_mean_v", "rest_v", "rest_min_v", "charge_v", "charge_min_v")

SCHEMAS: Final = {
    VEHICLES: _columns(
        ("vin", pa.string()),
        ("origin", pa.string()),
        ("make", pa.string()),
        ("model", pa.string()),
        ("model_year", pa.int16()),
        optional=("make", "model", "model_year"),
    ),
    SIGNALS: _columns(
        ("vin", pa.string()),
        ("date", pa.date32()),
        ("origin", pa.string()),
        ("known_at", _MOMENT),
        ("start_count", pa.uint16()),
        ("crank_count", pa.uint16()),
        *((name, pa.float64()) for name in VOLTAGES),
        ("ambient_c", pa.float64()),
        ("engine_on_s", pa.float64()),
        ("short_trip_count", pa.uint16()),
        ("distance_m", pa.float64()),
        ("dtc_codes", pa.list_(pa.string())),
        ("dtc_known", pa.bool_()),
        optional=(*VOLTAGES, "ambient_c", "distance_m"),
    ),
    SERVICE_RECORDS: _columns(
        ("vin", pa.string()),
        ("component", pa.string()),
        ("kind", pa.string()),
        ("performed_on", pa.date32()),
        ("recorded_at", _MOMENT),
        ("odometer_mi", pa.float64()),
        ("reason", pa.string()),
        optional=("odometer_mi",),
    ),
}
"""Every file that is loaded; a field is nullable where a row may leave it open."""


def check_schema(name: str, found: pa.Schema) -> None:
    """Make sure that a file has its columns, in their order and with their types.

    Whether a column may hold nulls is not a matter of the file's schema: rows are judged one by one.

    Raises:
        FolderError: it has not; the message names the first difference.
    """
    wanted = SCHEMAS[name]
    if found.names != wanted.names:
        missing = [column for column in wanted.names if column not in found.names]
        foreign = [column for column in found.names if column not in wanted.names]
        if missing or foreign:
            what = "; ".join(
                f"{word}: {', '.join(columns)}"
                for word, columns in (("missing", missing), ("not known", foreign))
                if columns
            )
        else:
            what = f"their order is {', '.join(wanted.names)}"
        message = f"{name} has not the columns of its kind ({what}); nothing was loaded"
        raise FolderError(message)
    for field in wanted:
        kind = found.field(field.name).type
        if not _is_same(kind, field.type):
            message = (
                f"{name}: column {field.name} is {kind}, it ought to be {field.type}; nothing was loaded"
            )
            raise FolderError(message)


def _is_same(found: pa.DataType, wanted: pa.DataType) -> bool:
    if pa.types.is_list(wanted):  # the name of a list's elements differs between writers
        return bool(pa.types.is_list(found) and found.value_type == wanted.value_type)
    return bool(found == wanted)
