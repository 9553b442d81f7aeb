"""What the device can see of the trips of some days: times, distances and voltages as it measures them.

Voltages are whole millivolts, temperatures whole degrees, times whole seconds, distances whole metres: the
resolution of the tracker's elements. So both outputs are made of the very same numbers.
"""

from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np

from simulation.fleet.arrays import Flags, Floats, Ints, Stream, between, generator, whole_between
from simulation.fleet.battery import End, resistance_mohm
from simulation.fleet.life import Life
from simulation.fleet.parameters import Parameters
from simulation.fleet.use import start_times_s
from simulation.fleet.weather import diurnal_c

_MARGIN_DAYS: Final = 7
"""Days in front of the window whose trips are looked at: how long the car stood before the first start."""
_DAY_S: Final = 86_400
_HOUR_S: Final = 3_600.0
_MV: Final = 1_000.0
_AMBIENT, _REST, _CRANK, _CHARGE = range(4)
_NORMALS: Final = 4
_OVER, _SEEN = range(2)
_UNIFORMS: Final = 2
_ATTEMPT_REST, _ATTEMPT_CRANK, _ATTEMPT_LENGTH = range(3)


@dataclass(frozen=True, slots=True, eq=False)
class Trips:
    """One entry per engine start that was tried, by car, then in the order of time.

    Attributes:
        car: place of the car in its profiles.
        day: since the epoch.
        start_s: ignition on, seconds after midnight.
        duration_s: to ignition off.
        distance_m: of the trip.
        ambient_c: at the start.
        rest_mv: voltage just before cranking.
        crank_mv: lowest voltage while cranking, as the device read it.
        is_crank_seen: the device caught the dip.
        charge_mv: while the engine runs.
        is_failed: the engine did not start.
    """

    car: Ints
    day: Ints
    start_s: Ints
    duration_s: Ints
    distance_m: Ints
    ambient_c: Ints
    rest_mv: Ints
    crank_mv: Ints
    is_crank_seen: Flags
    charge_mv: Ints
    is_failed: Flags

    def __len__(self) -> int:
        return len(self.car)

    def select(self, rows: Flags | Ints) -> Self:
        """Some of the trips."""
        return type(self)(*(getattr(self, each.name)[rows] for each in fields(self)))


def trips_of_days(life: Life, first_day: int, parameters: Parameters) -> Trips:
    """The starts of all cars from a day on, given as days since the epoch, to the end of their lives."""
    driven = _driven_trips(life, first_day, parameters)
    failed = _failed_starts(life, first_day, parameters)
    both = Trips(
        *(np.concatenate((getattr(driven, each.name), getattr(failed, each.name))) for each in fields(Trips))
    )
    order = np.lexsort((both.start_s, both.day, both.car))
    return both.select(order)


def _driven_trips(life: Life, first_day: int, parameters: Parameters) -> Trips:
    """Trips that took place."""
    planned, profiles, battery = life.planned, life.profiles, parameters.battery
    day_of = planned.cell % planned.days
    rows = np.flatnonzero(day_of >= first_day - _MARGIN_DAYS)
    normals, uniforms = _drawn_per_trip(life, rows)
    start = _starts_s(life, rows, parameters)
    is_driven = life.is_driven[rows]
    rows, start, normals, uniforms = (
        rows[is_driven],
        start[is_driven],
        normals[is_driven],
        uniforms[is_driven],
    )
    car, day = np.divmod(planned.cell[rows], planned.days)
    duration = planned.duration_s[rows]
    parked_h = _parked_h(car, day, start, duration, battery.drain_limit_h)

    ambient = life.temperature_c[day, car] + diurnal_c(parameters.climate, start)
    ambient = ambient + parameters.climate.start_sd_c * normals[:, _AMBIENT]
    damage, number = life.batteries.morning_damage[day, car], life.batteries.morning_battery[day, car]
    number = number % len(life.batteries.quality)
    rest = open_circuit_v(damage, profiles.short_trip_z[car], life.lacking_v[day, car], parked_h, parameters)
    rest = rest + battery.rest_sd_v * normals[:, _REST]

    own_c = ambient + battery.warm_restart_c * np.exp(-parked_h / battery.warm_restart_h)
    ohm = resistance_mohm(
        damage,
        life.batteries.resistance_factor[number, car],
        life.batteries.growth_factor[number, car],
        battery,
    )
    ohm = ohm * (1.0 + battery.resistance_per_c * np.maximum(25.0 - own_c, 0.0)) / 1000.0
    ampere = battery.crank_current_a * profiles.current_factor[car]
    ampere = ampere * (1.0 + battery.crank_current_per_c * np.maximum(10.0 - ambient, 0.0))
    crank = np.maximum(rest - ampere * ohm + battery.crank_sd_v * normals[:, _CRANK], battery.lowest_crank_v)
    device, is_slow = parameters.device, profiles.is_slow[car]
    crank = np.where(is_slow, crank + between(uniforms[:, _OVER] ** 2, device.slow_over_v), crank)
    crank = np.minimum(crank, rest - 0.1)
    fast_unseen, slow_unseen = device.unseen_share

    offset = life.offset_v[day, car]
    kept = day >= first_day
    trips = Trips(
        car=car,
        day=day,
        start_s=start,
        duration_s=duration,
        distance_m=planned.distance_m[rows],
        ambient_c=_whole(ambient),
        rest_mv=_whole((rest + offset) * _MV),
        crank_mv=_whole((crank + offset) * _MV),
        is_crank_seen=uniforms[:, _SEEN] >= np.where(is_slow, slow_unseen, fast_unseen),
        charge_mv=_whole((_charge_v(life, car, day, ambient, normals, parameters) + offset) * _MV),
        is_failed=np.zeros(len(rows), np.bool_),
    )
    return trips.select(kept)


def _drawn_per_trip(life: Life, rows: Ints) -> tuple[Floats, Floats]:
    """Normal and uniform numbers of these planned trips: the n-th trip of a car always has the same ones."""
    profiles, of_car = life.profiles, life.planned.count.sum(axis=1)
    normals, uniforms = np.empty((len(rows), _NORMALS)), np.empty((len(rows), _UNIFORMS))
    until = np.cumsum(of_car)
    edges = np.searchsorted(rows, np.concatenate(([0], until)))
    for place, number in enumerate(profiles.numbers):
        wanted = slice(edges[place], edges[place + 1])
        own = rows[wanted] - (until[place] - of_car[place])
        drawn = generator(profiles.seed, number, Stream.VOLTAGE, 0).standard_normal((of_car[place], _NORMALS))
        normals[wanted] = drawn[own]
        drawn = generator(profiles.seed, number, Stream.VOLTAGE, 1).random((of_car[place], _UNIFORMS))
        uniforms[wanted] = drawn[own]
    return normals, uniforms


def _starts_s(life: Life, rows: Ints, parameters: Parameters) -> Ints:
    planned = life.planned
    cell = planned.cell[rows]
    return start_times_s(
        cell,
        planned.position[rows],
        planned.duration_s[rows],
        planned.place[rows],
        planned.count.ravel()[cell],
        parameters.driver,
    )


def _parked_h(car: Ints, day: Ints, start_s: Ints, duration_s: Ints, limit_h: float) -> Floats:
    """Hours since the trip before, at most the limit."""
    moment = day * _DAY_S + start_s
    parked = np.full(len(car), limit_h)
    seconds = moment[1:] - moment[:-1] - duration_s[:-1]
    parked[1:] = np.where(car[1:] == car[:-1], np.minimum(seconds / _HOUR_S, limit_h), limit_h)
    return parked


def open_circuit_v(
    damage: Floats, short_trip_z: Floats, lacking_v: Floats, parked_h: Floats | float, parameters: Parameters
) -> Floats:
    """Voltage of a battery at rest, before any noise."""
    battery = parameters.battery
    voltage: Floats = (
        battery.open_circuit_v
        - battery.worn_v * damage**2
        - battery.undercharged_v * short_trip_z
        - battery.drain_v_per_h * np.minimum(parked_h, battery.drain_limit_h)
        - battery.fault_v_per_v * lacking_v
    )
    return voltage


def _charge_v(
    life: Life, car: Ints, day: Ints, ambient_c: Floats, normals: Floats, parameters: Parameters
) -> Floats:
    """Voltage while the engine runs."""
    charging, profiles = parameters.charging, life.profiles
    plain = charging.voltage_v + charging.temperature_v_per_c * (ambient_c - 20.0)
    plain = plain + charging.trip_sd_v * normals[:, _CHARGE]
    smart = charging.smart_mean_v + charging.smart_sd_v * normals[:, _CHARGE]
    asked = np.where(profiles.is_smart[car], smart, plain) + profiles.regulator_v[car]
    voltage: Floats = np.clip(asked, 12.6, charging.limits_v[1]) - life.lacking_v[day, car]
    return np.maximum(voltage, charging.limits_v[0])


def _failed_starts(life: Life, first_day: int, parameters: Parameters) -> Trips:
    """Starts that failed: they stand where the trip would have begun."""
    failure = parameters.failure
    days, cars = np.nonzero(life.attempts[first_day:])
    days = days + first_day
    count = life.attempts[days, cars]
    event = np.repeat(np.arange(len(days)), count)
    attempt = np.arange(len(event)) - (np.cumsum(count) - count)[event]
    day, car = days[event], cars[event]
    chances = np.empty((len(event), 3))
    for place, (one_day, one_car, number) in enumerate(zip(day, car, attempt, strict=True)):
        seed, own = life.profiles.seed, life.profiles.numbers[one_car]
        chances[place] = generator(seed, own, Stream.FAILURE, int(one_day), int(number)).random(3)
    start = _failed_start_s(life, days, cars, parameters)[event] + attempt * failure.attempt_every_s
    is_worn = life.batteries.end[day, car] == End.WORN
    rest = np.where(
        is_worn,
        between(chances[:, _ATTEMPT_REST], failure.worn_rest_v),
        between(chances[:, _ATTEMPT_REST], failure.dead_rest_v),
    )
    crank = np.where(
        is_worn,
        between(chances[:, _ATTEMPT_CRANK], failure.worn_crank_v),
        between(chances[:, _ATTEMPT_CRANK], failure.dead_crank_v),
    )
    ambient = life.temperature_c[day, car] + diurnal_c(parameters.climate, start)
    offset = life.offset_v[day, car]
    return Trips(
        car=car,
        day=day,
        start_s=start,
        duration_s=whole_between(chances[:, _ATTEMPT_LENGTH], failure.attempt_s),
        distance_m=np.zeros(len(event), np.int64),
        ambient_c=_whole(ambient),
        rest_mv=_whole((rest + offset) * _MV),
        crank_mv=_whole((crank + offset) * _MV),
        is_crank_seen=np.ones(len(event), np.bool_),
        charge_mv=np.zeros(len(event), np.int64),
        is_failed=np.ones(len(event), np.bool_),
    )


def _failed_start_s(life: Life, days: Ints, cars: Ints, parameters: Parameters) -> Ints:
    """When the first attempt of each of these failures was made."""
    planned = life.planned
    cell = cars * planned.days + days
    begin = np.searchsorted(planned.cell, cell)
    count = planned.count.ravel()[cell]
    rows = np.repeat(begin - (np.cumsum(count) - count), count) + np.arange(count.sum())
    order = np.argsort(planned.cell[rows], kind="stable")
    starts = np.empty(len(rows), np.int64)
    starts[order] = _starts_s(life, rows[order], parameters)
    without = np.floor(between(life.attempt_position[days, cars], parameters.failure.attempt_time_s)).astype(
        np.int64
    )
    if not len(rows):
        return without
    wanted = np.minimum(np.cumsum(count) - count + life.failed_place[days, cars], len(rows) - 1)
    first: Ints = np.where(count > 0, starts[wanted], without)
    return first


def _whole(values: Floats) -> Ints:
    return np.rint(values).astype(np.int64)
