"""Every number that the simulated fleet is made from, with its source or marked [A], an assumption.

Sources: "models" is the project's reference on models, section 3; its own [A] marks are kept. BCI is the
Battery Council International's study of failed batteries (2010), ADAC the German club's breakdown
statistics. An assumption is a value that was chosen, by judgement or so that the fleet's outcome comes out
right (`docs/simulation.md` has the outcome, measured); none of them is evidence about real cars.

Change one and the fleet is another one: the manifest holds `parameters_hash`.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Final

EPOCH: Final = date(2021, 1, 1)
"""Every car's life is simulated from this day on, whatever days are asked for."""

DAYS_PER_YEAR: Final = 365.25
NEWEST_MODEL_YEAR: Final = 2020
"""No car is younger than the epoch, so that each exists on every simulated day."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A climate, and the place whose streets its cars drive.

    Attributes:
        name: of the climate.
        latitude_deg: of the place.
        longitude_deg: of the place.
        mean_c: of the year.
        amplitude_c: half of what the warmest day's normal exceeds the coldest day's by.
        anomaly_sd_c: standard deviation of a day's mean around its normal.
        share: of the fleet.
    """

    name: str
    latitude_deg: float
    longitude_deg: float
    mean_c: float
    amplitude_c: float
    anomaly_sd_c: float
    share: float


@dataclass(frozen=True, slots=True)
class Climate:
    """Weather: a sine through the year plus an anomaly that remembers yesterday.

    Means and amplitudes lie near the published 30-year normals of Helsinki, Warsaw, Manchester, Madrid and
    Seville, rounded; anomalies and shares [A]. All lie within two hours of UTC, so that a day of driving lies
    within a UTC day. Each car has weather of its own [A]: the fleet is scattered, no winter hits all at once.
    """

    zones: tuple[Zone, ...] = (
        Zone("boreal", 60.1699, 24.9384, 6.5, 11.0, 4.2, 0.18),
        Zone("continental", 52.2297, 21.0122, 9.0, 10.5, 4.0, 0.22),
        Zone("maritime", 53.4808, -2.2426, 10.0, 6.3, 2.8, 0.24),
        Zone("dry summer", 40.4168, -3.7038, 15.0, 9.7, 3.0, 0.18),
        Zone("hot", 37.3891, -5.9845, 19.2, 8.6, 2.8, 0.18),
    )
    coldest_day_of_year: float = 20.0
    """[A]"""
    anomaly_memory: float = 0.75
    """[A] Correlation of one day's anomaly with the next day's."""
    diurnal_c: float = 3.5
    """[A] Half of the swing between the warmest (15:00) and the coldest hour."""
    start_sd_c: float = 1.0
    """[A] Of a start around its hour: sun, garage, sensor."""


@dataclass(frozen=True, slots=True)
class Driver:
    """How cars are used; all [A] but for the scatter of use (models 3.1: lognormal sd .35)."""

    trips_per_day_mean: float = 3.2
    """On a day on which the car is used, over the fleet."""
    trips_per_day_sigma: float = 0.30
    """Of the logarithm, between drivers."""
    parked_share_alpha: float = 2.0
    parked_share_beta: float = 9.0
    """Share of days without a trip: beta distributed between drivers."""
    weekend_parked_factor: float = 1.6
    duration_median_s: float = 900.0
    duration_driver_sigma: float = 0.40
    """Of the logarithm, between drivers: the short-trip habit."""
    duration_trip_sigma: float = 0.65
    """Of the logarithm, between a driver's trips."""
    duration_s: tuple[float, float] = (120.0, 9_000.0)
    day_driving_limit_s: float = 43_200.0
    speed_kph: tuple[float, float] = (15.0, 52.0)
    """Limits of a trip's mean speed."""
    speed_median_kph: float = 31.0
    """Of a trip of median duration."""
    speed_exponent: float = 0.18
    """Longer trips are faster: the mean speed grows with this power of the duration."""
    speed_sigma: float = 0.18
    day_window_s: tuple[float, float] = (19_800.0, 82_800.0)
    """Trips lie within 05:30 and 23:00."""
    gap_s: float = 240.0
    """At least, between two trips."""
    use_sigma: float = 0.35
    """Of the logarithm of how hard a car's use is on its battery (models 3.1)."""
    use_seen_share: float = 0.5
    """[A] Share of that scatter (of the variance) that follows from short trips and starts."""


@dataclass(frozen=True, slots=True)
class Vehicle:
    """The car; all [A]."""

    model_years: tuple[int, int] = (2010, NEWEST_MODEL_YEAR)
    start_odometer_km_per_year: tuple[float, float] = (6_000.0, 18_000.0)
    crank_current_sigma: float = 0.06
    """Of the logarithm of the starter's current, between cars."""
    tank_l: tuple[float, float] = (42.0, 62.0)
    consumption_l_per_100km: tuple[float, float] = (5.0, 9.0)
    refuel_at_share: float = 0.12
    """Of the tank; it is filled to the top."""


@dataclass(frozen=True, slots=True)
class Charging:
    """The alternator (models 3.3)."""

    voltage_v: float = 14.2
    """At 20 °C, warm engine."""
    voltage_sd_v: float = 0.10
    """[A] Between cars; models: ±.2 V."""
    temperature_v_per_c: float = -0.010
    """[A]"""
    trip_sd_v: float = 0.06
    """[A] Between trips of a car with a plain regulator."""
    smart_share: float = 0.5
    """[A] Cars whose regulator varies the voltage with the load, 12.6 to 15 V."""
    smart_mean_v: float = 13.85
    smart_sd_v: float = 0.45
    """[A] Between trips."""
    limits_v: tuple[float, float] = (11.6, 15.0)
    fault_per_year: float = 0.06
    """[A] ADAC 2016: generator, starter and wiring a third of the battery's share of breakdowns."""
    gradual_share: float = 0.6
    """[A] models 3.3."""
    gradual_days: tuple[int, int] = (14, 42)
    """[A] Until the full depth is reached (models 3.3: 2 to 6 weeks)."""
    depth_v: tuple[float, float] = (0.6, 1.8)
    """[A] By how much the voltage is too low in the end."""
    repair_days: tuple[int, int] = (3, 21)
    """[A] From the full depth to the repair."""
    wear_per_v: float = 1.6
    """[A] A battery that lacks 1 V of charge wears faster by this much of its rate."""


@dataclass(frozen=True, slots=True)
class Battery:
    """Wear, resistance and the daily hazard (models 3.1, 3.2)."""

    wear_per_year: float = 0.208
    """[A] At 15 °C, for median use and quality: median life comes out near 50 months (BCI: mean 55)."""
    wear_q10: float = 1.38
    """[A] Wear's factor per 10 °C. The fleet's life then has 1.2 to 1.3 (models 3.1, BCI: 59 months in the
    north and 47 in the south): cold hastens the end, and sudden deaths ask no thermometer."""
    quality_sigma: float = 0.28
    """Of the logarithm, between batteries (models 3.1)."""
    first_age_days: tuple[float, float] = (0.0, 1_500.0)
    """[A] Of the battery that a car has at the epoch."""
    first_damage_limit: float = 0.92
    """[A] It is not worn out at once."""
    sudden_per_year: float = 0.046
    """Shorts and broken links, at any age (models 3.1: 5 % a year)."""
    worn_out_per_year: float = 8.0
    """[A] Hazard of wear at damage 1 and 10 °C or more."""
    steepness: float = 45.0
    """[A] The hazard of wear grows with the exponential of this times damage."""
    cold_per_10c: float = 0.55
    """[A] Its logarithm grows by this for every 10 °C below 10 °C."""
    cold_below_c: float = 10.0
    preventive_per_year: float = 0.075
    """[A] Hazard of a replacement before failure, once the battery is old enough; 10 % of all come out."""
    preventive_from_days: int = 1_095
    """[A]"""
    resistance_mohm: float = 6.2
    """New, at 25 °C (models 3.2)."""
    resistance_sigma: float = 0.05
    """[A] Of the logarithm, between batteries."""
    linear_growth: float = 0.20
    """[A] Of the resistance until damage 1."""
    late_growth: float = 1.0
    late_power: float = 6.0
    """[A] More growth, late: late_growth × damage ** late_power."""
    growth_sigma: float = 0.08
    """[A] Of the logarithm of the growth, between batteries: resistance and damage are not one thing."""
    resistance_per_c: float = 0.012
    """Relative, for each °C below 25 °C (models 3.2)."""
    crank_current_a: float = 380.0
    """At 10 °C or more (models 3.2)."""
    crank_current_per_c: float = 0.006
    """Relative, for each °C below 10 °C (models 3.2)."""
    open_circuit_v: float = 12.68
    """[A] New and charged."""
    worn_v: float = 0.16
    """[A] Less at damage 1, with the square of damage."""
    undercharged_v: float = 0.07
    """[A] Less for each standard deviation of the short-trip habit."""
    drain_v_per_h: float = 0.002
    drain_limit_h: float = 120.0
    """[A] Less for each hour parked, up to the limit."""
    fault_v_per_v: float = 0.35
    """[A] Less for each volt that the alternator lacks."""
    warm_restart_c: float = 9.0
    warm_restart_h: float = 2.0
    """[A] A battery just used is warmer than the air, and cools with this time constant."""
    crank_sd_v: float = 0.45
    """Of one crank's lowest voltage (models 3.2)."""
    rest_sd_v: float = 0.05
    """[A]"""
    lowest_crank_v: float = 4.8
    """[A] Of a start that succeeds."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What a failure looks like; all [A]."""

    attempts: tuple[int, int] = (1, 3)
    attempt_s: tuple[int, int] = (6, 12)
    attempt_every_s: int = 40
    standing_days: tuple[int, int] = (1, 3)
    worn_rest_v: tuple[float, float] = (11.4, 12.2)
    worn_crank_v: tuple[float, float] = (4.0, 6.6)
    """No start below about 6.6 V (models 3.2)."""
    dead_rest_v: tuple[float, float] = (9.6, 11.4)
    dead_crank_v: tuple[float, float] = (1.0, 5.0)
    """Of a sudden death."""
    attempt_time_s: tuple[float, float] = (23_400.0, 68_400.0)
    """When the start fails on a day without planned trips."""


@dataclass(frozen=True, slots=True)
class Device:
    """The tracker (models 3.2, 3.7)."""

    slow_share: float = 0.35
    """[A] Devices that sample at 1 Hz and miss the bottom of the dip."""
    slow_over_v: tuple[float, float] = (0.2, 3.5)
    """[A] By how much they read too high; low values are likelier (square of a uniform number)."""
    unseen_share: tuple[float, float] = (0.01, 0.06)
    """[A] Starts whose dip is not seen at all: other devices, slow ones."""
    offset_sd_v: float = 0.10
    """Between devices (models 3.2)."""
    drift_sd_v_per_year: float = 0.04
    """[A] Random walk."""
    firmware_per_year: float = 0.06
    firmware_step_v: tuple[float, float] = (0.1, 0.2)
    """[A] A firmware change moves the channel, up or down (models 3.7: 0.1 to 0.3 V)."""
    missing_alpha: float = 1.6
    missing_beta: float = 12.4
    """Share of missing days, beta distributed between devices: mean .114, with the outages about 13 %
    (models 3.7)."""
    outages_per_year: float = 0.40
    outage_days: tuple[int, int] = (1, 60)
    """[A] Log-uniform."""
    period_ms: tuple[int, int] = (2_000, 5_000)
    """[A] Between two records while driving."""
    modelled_lag_h: int = 6
    """When a day's signals are known: so long after its end (the warehouse's `modelled_lag_hours`)."""


@dataclass(frozen=True, slots=True)
class Codes:
    """Trouble codes; all [A] (models 3.6)."""

    unrelated: tuple[str, ...] = ("P0171", "P0300", "P0301", "P0302", "P0303", "P0304", "P0420")
    unrelated_per_year: float = 0.16
    unrelated_days: tuple[int, int] = (3, 60)
    low_voltage: str = "P0562"
    low_voltage_days: tuple[int, int] = (2, 20)
    spurious_per_year: float = 0.035
    """Low voltage without a fault: a loose terminal, a long crank in the cold."""
    fault_per_day: float = 0.20
    fault_from_v: float = 0.8
    """A low alternator is noticed with this probability a day from this lack on."""
    worn_per_day: float = 0.006
    worn_from: float = 0.90
    """Damage from which a worn battery sets the code, now and then."""
    failed_start_share: float = 0.85
    """Failures that set the code on the failed start; the others leave none."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """The service book (models 3.8)."""

    unrecorded_share: float = 0.08
    lag_mean_days: float = 5.0
    """Geometric, from one day on."""
    unknown_reason_share: float = 0.12
    """[A] Of the replacements after a failure."""
    repair_per_year: float = 0.03
    """[A] Repairs of the battery that change nothing: terminals, a recharge."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """All of them."""

    climate: Climate = field(default_factory=Climate)
    driver: Driver = field(default_factory=Driver)
    vehicle: Vehicle = field(default_factory=Vehicle)
    charging: Charging = field(default_factory=Charging)
    battery: Battery = field(default_factory=Battery)
    failure: Failure = field(default_factory=Failure)
    device: Device = field(default_factory=Device)
    codes: Codes = field(default_factory=Codes)
    workshop: Workshop = field(default_factory=Workshop)

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change with any of the values."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


PARAMETERS: Final = Parameters()
"""The fleet's; there is one."""
