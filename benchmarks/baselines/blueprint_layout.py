"""The blueprint's own table: its columns and types exactly, all IO elements in `raw_data`, its hypertable.

`create_hypertable('telemetry', 'time')` as it stands there: chunks of seven days, and the index on time that
TimescaleDB makes by itself. What a record lacks is null. Numbers are rounded where the types want whole ones.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import psycopg

from benchmarks.baselines.naive_decoder import Record, decode_frame

NAME: Final = "blueprint_telemetry"
_TABLE: Final = f"""
create table {NAME} (
    time        timestamptz not null,
    device_id   text not null,
    vin         text,
    lat         double precision,
    lng         double precision,
    speed_mph   smallint,
    heading     smallint,
    altitude_ft integer,
    odometer    integer,
    fuel_pct    smallint,
    battery_v   real,
    dtc_codes   text[],
    raw_data    jsonb
)
"""
_HYPERTABLE: Final = f"select create_hypertable('{NAME}', 'time')"
_COPY: Final = f"copy {NAME} from stdin"
_ODOMETER, _FUEL, _BATTERY, _CODES = 16, 48, 66, 281
_DEGREE: Final = 10_000_000
_METRES_PER_MILE: Final = 1609.344
_KM_PER_MILE: Final = 1.609344
_METRES_PER_FOOT: Final = 0.3048
_MV: Final = 1000


def create_table(connection: psycopg.Connection[Any]) -> None:
    """The table, empty."""
    connection.execute(_TABLE)
    connection.execute(_HYPERTABLE)
    connection.commit()


def store(connection: psycopg.Connection[Any], frames: Iterable[tuple[str, str, bytes]]) -> int:
    """Store frames, each with its IMEI and VIN, in one transaction; returns the number of rows."""
    count = 0
    with connection.transaction(), connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        for imei, vin, frame in frames:
            records = decode_frame(frame)
            copy.write("".join([_line(imei, vin, record) for record in records]).encode())
            count += len(records)
    return count


def _line(imei: str, vin: str, record: Record) -> str:
    """One row as COPY's text: what is absent is null, and JSON has its backslashes doubled."""
    io = record["io"]
    odometer, fuel, battery, codes = io.get(_ODOMETER), io.get(_FUEL), io.get(_BATTERY), io.get(_CODES)
    document = orjson.dumps({str(avl_id): _plain(raw) for avl_id, raw in io.items()}).decode()
    cells = (
        datetime.fromtimestamp(record["timestamp_ms"] / 1000, UTC).isoformat(),
        imei,
        vin,
        repr(record["latitude"] / _DEGREE),
        repr(record["longitude"] / _DEGREE),
        str(round(record["speed"] / _KM_PER_MILE)),
        str(record["angle"]),
        str(round(record["altitude"] / _METRES_PER_FOOT)),
        r"\N" if odometer is None else str(round(odometer / _METRES_PER_MILE)),
        r"\N" if fuel is None else str(fuel),
        r"\N" if battery is None else str(battery / _MV),
        r"\N" if codes is None else f"{{{codes.decode()}}}",
        document.replace("\\", r"\\"),
    )
    return "\t".join(cells) + "\n"


def _plain(raw: Any) -> Any:
    return raw.hex() if isinstance(raw, bytes) else raw
