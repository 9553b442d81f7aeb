"""Rows of an archived day made in memory, written and read without a server."""

import random
import struct
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from ingest.sink.rows import stamp_odometer
from telematics.names import OdometerSource
from telematics.units import feet_from_metres, mph_from_kph
from warehouse.archive import layout, parquet

GNSS, CAN, OBD = "odometer_gnss_m", "odometer_can_m", "odometer_obd_m"
ODOMETERS: Final = (GNSS, CAN, OBD, "odometer", "odometer_source")
EVERY: Final = (
    "lat",
    "lng",
    "speed_mph",
    "altitude_ft",
    "battery_v",
    "hdop",
    "maf_gps",
    "crank_v",
    "charge_v",
)
"""Columns that may stand as integers."""


def single(value: float) -> float:
    """The nearest number of 32 bits, as TimescaleDB's `real` and ClickHouse's Float32 hold it."""
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def make_rows(count: int, **columns: Any) -> pa.Table:
    """Rows of one vehicle, a second apart; columns that are not given are null."""
    start = datetime(2024, 1, 2, tzinfo=UTC)
    given = {
        "time": [start + timedelta(seconds=number) for number in range(count)],
        "received_at": [start] * count, "device_id": ["353000000000001"] * count,
        "vin": ["WHTEST00000000001"] * count, "event_id": [0] * count, "content_hash": range(count),
        "stream_position": range(count), "dtc_codes": [[]] * count, "dtc_known": [False] * count,
        "raw_data": [""] * count,
    } | columns  # fmt: skip
    arrays = [
        pa.array(given[field.name], field.type) if field.name in given else pa.nulls(count, field.type)
        for field in layout.schema()
    ]
    return pa.Table.from_arrays(arrays, schema=layout.schema())


def sent(chance: random.Random) -> dict[str, Any]:
    """The measured numbers of a device's record, as the sink turns them into the blueprint's units."""
    return {
        "lat": chance.randrange(-900_000_000, 900_000_001) / 1e7,
        "lng": chance.randrange(-1_800_000_000, 1_800_000_001) / 1e7,
        "speed_mph": single(mph_from_kph(chance.randrange(300))),
        "altitude_ft": single(feet_from_metres(chance.randrange(-400, 5_000))),
        "battery_v": single(chance.randrange(31_000) / 1000),
        "hdop": single(chance.randrange(1_000) / 10),
        "maf_gps": single(chance.randrange(65_536) / 100),
        "crank_v": single(chance.randrange(15_000) / 1000),
        "charge_v": single(chance.randrange(15_000) / 1000),
    }


def make_sent(count: int, seed: int = 1) -> pa.Table:
    """Rows as the sink writes them: some numbers missing, every odometer, none, and one without metres."""
    chance = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for _ in range(count):
        row = {name: value for name, value in sent(chance).items() if chance.random() < 0.9}
        row |= {name: chance.randrange(10**9) for name in (GNSS, CAN, OBD) if chance.random() < 0.8}
        if chance.random() < 0.9:
            stamp_odometer(row, chance.choice(list(OdometerSource)))
        rows.append(row)
    return make_rows(count, **{name: [row.get(name) for row in rows] for name in (*EVERY, *ODOMETERS)})


def written(rows: pa.Table, path: Path, *, stated: Collection[str] = ()) -> parquet.FileFacts:
    """The rows as a file of the archive."""
    return parquet.write_rows(rows.to_batches(max_chunksize=700), path, stated=stated)


def read(path: Path, names: list[str] | None = None) -> pa.Table:
    """What a file's readers get."""
    with parquet.open_file(str(path)) as file:
        groups = [parquet.read_group(file, number, path.name, names) for number in range(file.num_row_groups)]
        return pa.concat_tables(groups)


def bits(values: Sequence[float | None]) -> list[bytes | None]:
    """Each number's bits: NaN is itself, and -0.0 is not 0.0."""
    return [None if value is None else struct.pack("<d", value) for value in values]


def bits_of(table: pa.Table, name: str) -> list[bytes | None]:
    """Of a column."""
    return bits(table.column(name).to_pylist())
