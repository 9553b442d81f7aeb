"""Day signals worked out again from record bytes, one record after the other: no array, no shared code.

Everything is read the way the sink stores it: `ingest.measurement` fills the telemetry columns, 32-bit floats
are rounded to 32 bits, and the definitions are those of the warehouse's models, put down once more.
"""

import math
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np

from ingest.codec8.decoding import decode_avl
from ingest.codec8.encoding import join_records
from ingest.codec8.records import CodecId
from ingest.measurement import element_columns, measure

COLUMNS = element_columns("F")


def rows_of(source):
    """What the sink stores of a source's records, in the order of time."""
    rows = []
    for block in source.blocks(0):
        edges = block.starts.tolist()
        for start, end in pairwise(edges):
            body = block.bodies[start:end]
            (record,) = decode_avl(join_records(CodecId.CODEC_8_EXTENDED, [body])).records
            row = measure(record, COLUMNS)
            if "battery_v" in row:
                row["battery_v"] = float(np.float32(row["battery_v"]))
            rows.append((datetime.fromtimestamp(record.timestamp_ms / 1000, UTC), row))
    return rows


def trips_of(rows):
    """Records from each ignition-on event to the record in front of the next one; the day of the start."""
    trips = []
    for at, row in rows:
        if row["event_id"] == 239 and row["ignition"]:
            trips.append([])
        if trips:
            trips[-1].append((at, row))
    return trips


def trip_signals(trip):
    (started_at, first), *rest = trip
    off = next(at for at, row in rest if not row["ignition"])
    rest_v = first["battery_v"] if first["battery_v"] < 13.2 else None
    after_start = [row["battery_v"] for at, row in rest if at - started_at <= timedelta(seconds=5)]
    lowest = min(after_start)
    running = [
        row["battery_v"] for at, row in rest if row["ignition"] and at - started_at >= timedelta(seconds=60)
    ]
    return {
        "date": started_at.date(),
        "engine_on_s": (off - started_at).total_seconds(),
        "rest_v": rest_v,
        "crank_v": lowest if rest_v is not None and lowest < rest_v else None,
        "charge_v": sum(running) / len(running) if running else None,
        "ambient_c": first["ambient_c"],
    }


def mean(values):
    return sum(values) / len(values) if values else None


def known(trips, name):
    return [trip[name] for trip in trips if trip[name] is not None]


def day_signals(source):
    """The day-level signals of a source by date."""
    rows = rows_of(source)
    by_day, trips_by_day = defaultdict(list), defaultdict(list)
    for at, row in rows:
        by_day[at.date()].append(row)
    for trip in map(trip_signals, trips_of(rows)):
        trips_by_day[trip["date"]].append(trip)
    days = {}
    for date, day in by_day.items():
        trips = trips_by_day[date]
        cranks, rests, charges = (known(trips, name) for name in ("crank_v", "rest_v", "charge_v"))
        code_lists = [row["dtc_codes"] for row in day if "dtc_codes" in row]
        days[date] = {
            "start_count": len(trips),
            "crank_count": len(cranks),
            "crank_min_v": min(cranks, default=None),
            "crank_mean_v": mean(cranks),
            "rest_v": mean(rests),
            "rest_min_v": min(rests, default=None),
            "charge_v": mean(charges),
            "charge_min_v": min(charges, default=None),
            "ambient_c": mean(known(trips, "ambient_c")),
            "engine_on_s": sum(trip["engine_on_s"] for trip in trips),
            "short_trip_count": sum(trip["engine_on_s"] < 600 for trip in trips),
            "distance_m": day[-1]["odometer_gnss_m"] - day[0]["odometer_gnss_m"],
            "dtc_codes": sorted({code for codes in code_lists for code in codes}),
            "dtc_known": bool(code_lists),
            "shortest_trip_s": min((trip["engine_on_s"] for trip in trips), default=math.inf),
        }
    return days
