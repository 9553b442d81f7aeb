"""The twelve recorded cars: what their recordings hold, and what came out of the warehouse."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from clickhouse_connect.driver.client import Client
from rich.table import Table

from simulation.replay.ved_fleet import ved_vehicle
from simulation.replay.ved_oracles import VED_ORACLES

_M_PER_KM = 1000.0
_FOUND = """
select days.vin, days.metres, days.chosen_metres, days.by_silence, trips.found, trips.overlaps
from (
    select vin, sum(distance_m) as metres, sum(chosen_distance_m) as chosen_metres,
           sum(gap_segment_count) as by_silence
    from analytics.vehicle_analytics where origin = 'recorded' group by vin
) as days
left join (
    select vin, count() as found, countIf(previous_ended_at > started_at) as overlaps
    from (
        select vin, started_at, lagInFrame(toNullable(ended_at)) over (
            partition by vin order by started_at rows between 1 preceding and current row
        ) as previous_ended_at
        from analytics.trips where origin = 'recorded'
    )
    group by vin
) as trips on days.vin = trips.vin
"""


class CarDrives(NamedTuple):
    """A recorded car: what its recording holds, and what came out of the warehouse."""

    vehicle_id: int
    recorded_km: float
    """By the integral of speed, as `warehouse_km`."""
    warehouse_km: float
    chosen_km: float
    """The distance that marts say to take, day by day."""
    recorded_trips: int
    warehouse_trips: int
    overlaps: int
    """Trips that begin before the one before has ended."""
    trips_by_silence: int
    """What the trips would be if nothing but silences over 300 s told them apart."""


def compare(warm: Client) -> list[CarDrives]:
    """Every recorded car against its recording; a car without days in the warehouse has none of anything."""
    found = {row[0]: row[1:] for row in warm.query(_FOUND).result_rows}
    cars = []
    for oracle in VED_ORACLES:
        metres, chosen, by_silence, trips, overlaps = found.get(
            ved_vehicle(oracle.vehicle_id).vin, (0.0, 0.0, 0, 0, 0)
        )
        cars.append(
            CarDrives(
                vehicle_id=oracle.vehicle_id,
                recorded_km=oracle.speed_km,
                warehouse_km=metres / _M_PER_KM,
                chosen_km=(chosen or 0.0) / _M_PER_KM,
                recorded_trips=oracle.trips,
                warehouse_trips=int(trips),
                overlaps=int(overlaps),
                trips_by_silence=int(by_silence),
            )
        )
    return cars


def figures(cars: Sequence[CarDrives]) -> dict[str, float]:
    """How far all cars together, and the worst of them, are from their recordings; per cent and counts."""
    recorded_km, recorded_trips = (
        sum(car.recorded_km for car in cars),
        sum(car.recorded_trips for car in cars),
    )
    return {
        "trips_off_percent": off_percent(sum(car.warehouse_trips for car in cars), recorded_trips),
        "trips_off_percent_worst_car": _worst(
            off_percent(car.warehouse_trips, car.recorded_trips) for car in cars
        ),
        "distance_off_percent": off_percent(sum(car.warehouse_km for car in cars), recorded_km),
        "distance_off_percent_worst_car": _worst(
            off_percent(car.warehouse_km, car.recorded_km) for car in cars
        ),
        "chosen_distance_off_percent": off_percent(sum(car.chosen_km for car in cars), recorded_km),
        "chosen_distance_off_percent_worst_car": _worst(
            off_percent(car.chosen_km, car.recorded_km) for car in cars
        ),
        "overlapping_trips": sum(car.overlaps for car in cars),
    }


def off_percent(value: float, reference: float) -> float:
    """How far a value is from what it should be, per cent of the latter."""
    return round(100 * (value / reference - 1), 3)


def _worst(values: Iterable[float]) -> float:
    return max(values, key=abs)


def table(cars: Sequence[CarDrives]) -> Table:
    """The comparison as people read it."""
    shown = Table(title="Recorded cars: the recording against the warehouse", title_justify="left")
    for name in (
        "car", "km recorded", "km", "off by", "km to take", "off by", "trips recorded", "trips", "off by",
        "overlaps", "by silence alone",
    ):  # fmt: skip
        shown.add_column(name, justify="right")
    for car in cars:
        shown.add_row(
            str(car.vehicle_id),
            f"{car.recorded_km:,.1f}",
            f"{car.warehouse_km:,.1f}",
            f"{off_percent(car.warehouse_km, car.recorded_km):+.2f} %",
            f"{car.chosen_km:,.1f}",
            f"{off_percent(car.chosen_km, car.recorded_km):+.2f} %",
            str(car.recorded_trips),
            str(car.warehouse_trips),
            f"{off_percent(car.warehouse_trips, car.recorded_trips):+.2f} %",
            str(car.overlaps),
            f"{off_percent(car.trips_by_silence, car.recorded_trips):+.2f} %",
        )
    return shown
