"""Live state per vehicle: the newest value of each signal, by the device's clock. Pure.

`live:{vin}` is a hash. Its fields are signals, each value `<device time in ms>|<JSON>`:

position         {"lat", "lng", "accuracy_m" (null without HDOP), "heading", "altitude_ft", "satellites",
                 "is_valid"}, from records with a fix only
speed_mph        number; of a tracker from records with a fix only: without one it sends 0
odometer         {"miles", "source"}
battery_voltage  number
fuel_pct         number
dtc_codes        list, when the device says which codes there are or that there are none
ignition         bool
seen             {"received_at"}: the newest record of all, whatever it holds

Records and posted readings (`ingest.stream.readings`) are the same here; what a reading does not say of its
position is null. Those from before the earliest time that counts (`ingest.device_time`), or more than five
minutes ahead of their arrival, never move live state.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import orjson

from ingest.codec8.records import AvlPacket, AvlRecord
from ingest.measurement import (
    FIRST_TIME_MS,
    ODOMETER_COLUMNS,
    Measurement,
    accuracy_m,
    element_columns,
    measure,
    odometer_metres,
)
from ingest.reading_measurement import measure_reading
from ingest.registry.timeline import Installation
from ingest.registry_cache import Registry
from ingest.stream.messages import FrameMessage
from ingest.stream.readings import ReadingMessage
from telematics.clock import from_epoch_ms, rfc3339_ms
from telematics.names import OdometerSource, Origin
from telematics.units import miles_from_metres

MAX_AHEAD_MS: Final = 5 * 60 * 1000
"""A device clock may be this much ahead of ours."""


class Signal(NamedTuple):
    """One newest value, ready to be written."""

    name: str
    time_ms: int
    value: bytes
    """JSON."""


class Offer(NamedTuple):
    """The newest signals of a vehicle as Redis keeps them."""

    oldest_ms: int
    """Device time of the oldest of them."""
    values: Sequence[bytes]
    """In the order of `SIGNALS`, each `<device time in ms>|<JSON>`; empty where there is none."""


class Seen(NamedTuple):
    """A record or a reading that lies in a vehicle and in time, with what it measured."""

    vin: str
    origin: Origin
    number: int
    """Of the record in its frame; 0 of a reading."""
    time_ms: int
    measured: Measurement
    record: AvlRecord | None
    """None: a reading."""


class Observation(NamedTuple):
    """What one record measured, with what is needed to tell it."""

    time_ms: int
    received_at_ms: int
    measured: Measurement
    odometer_source: OdometerSource | None
    is_posted: bool = False


def _position(seen: Observation) -> object:
    measured = seen.measured
    hdop = measured.get("hdop")
    return {
        "lat": measured["lat"],
        "lng": measured["lng"],
        "accuracy_m": accuracy_m(hdop) if isinstance(hdop, (int, float)) else None,
        "heading": measured.get("heading"),
        "altitude_ft": measured.get("altitude_ft"),
        "satellites": measured.get("satellites"),
        "is_valid": True,
    }


def _odometer(seen: Observation) -> object:
    if "odometer" in seen.measured:  # a partner's word, which is in no device's series
        return {"miles": seen.measured["odometer"], "source": seen.measured["odometer_source"]}
    source = seen.odometer_source
    metres = None if source is None else odometer_metres(seen.measured, source)
    if source is None or metres is None:
        return None
    return {"miles": miles_from_metres(metres), "source": source.value}


def _seen(seen: Observation) -> object:
    # frames of a batch came in within a few seconds: writing out each of them is half of a vehicle's cost
    second, ms = divmod(seen.received_at_ms, 1000)
    return {"received_at": f"{rfc3339_second(second)}.{ms:03d}Z"}


@lru_cache(maxsize=1024)
def rfc3339_second(epoch_s: int) -> str:
    """RFC 3339 without fraction and zone."""
    return rfc3339_ms(from_epoch_ms(epoch_s * 1000))[:-5]


_VALUES: Final[Mapping[str, Callable[[Observation], object]]] = {
    "position": _position,
    "speed_mph": lambda seen: seen.measured["speed_mph"],
    "odometer": _odometer,
    "battery_voltage": lambda seen: seen.measured["battery_v"],
    "fuel_pct": lambda seen: seen.measured["fuel_pct"],
    "dtc_codes": lambda seen: seen.measured["dtc_codes"],
    "ignition": lambda seen: seen.measured["ignition"],
    "seen": _seen,
}
SIGNALS: Final = {name: number for number, name in enumerate(_VALUES)}
"""Name → place, wherever signals lie side by side."""


def _signals_of(seen: Observation) -> Iterable[str]:
    """Signals that a record has something to say about."""
    measured = seen.measured
    yield "seen"
    if measured["is_valid"]:
        yield "position"
    if "speed_mph" in measured and (measured["is_valid"] or seen.is_posted):
        yield "speed_mph"
    source = seen.odometer_source
    if "odometer" in measured or (source is not None and ODOMETER_COLUMNS[source] in measured):
        yield "odometer"
    if "battery_v" in measured:
        yield "battery_voltage"
    for name in ("fuel_pct", "dtc_codes", "ignition"):
        if name in measured:
            yield name


def _odometer_source(installation: Installation, measured: Measurement) -> OdometerSource | None:
    """The installation's source; until the sink chose one, what it would choose by this record."""
    if installation.odometer_source is not None:
        return installation.odometer_source
    for source, column in ODOMETER_COLUMNS.items():
        if column in measured:
            return source
    return None


class NewestState:
    """The newest observation per vehicle and signal of one batch."""

    def __init__(self, earliest_ms: int = FIRST_TIME_MS) -> None:
        """Nothing yet; records from before `earliest_ms` do not count."""
        self._earliest_ms = earliest_ms
        self._vehicles: dict[str, dict[str, Observation]] = {}
        self.record_count = 0
        self.ignored_count = 0
        """Records of no vehicle, from before its clock was set or from the future."""
        self.reading_count = 0
        """Posted readings that count."""

    def observe(self, frame: FrameMessage, packet: AvlPacket, registry: Registry) -> tuple[Seen, ...]:
        """Take in the records of one frame, in whatever order they come; returns those that count."""
        columns = element_columns(registry.family(frame.imei))
        latest_ms = frame.received_at_ms + MAX_AHEAD_MS
        seen: list[Seen] = []
        for number, record in enumerate(packet.records):
            self.record_count += 1
            time_ms = record.timestamp_ms
            if not self._earliest_ms <= time_ms <= latest_ms:
                self.ignored_count += 1
                continue
            installation = registry.at(frame.imei, time_ms)
            if installation is None:
                self.ignored_count += 1
                continue
            measured = measure(record, columns)
            source = _odometer_source(installation, measured)
            self._take(installation.vin, Observation(time_ms, frame.received_at_ms, measured, source))
            seen.append(Seen(installation.vin, installation.origin, number, time_ms, measured, record))
        return tuple(seen)

    def observe_reading(
        self, message: ReadingMessage, registry: Registry, origins: Mapping[str, Origin]
    ) -> Seen | None:
        """Take in one posted reading; None if it does not count.

        Args:
            message: the reading.
            registry: what holds for the device, if one sent it.
            origins: of the vehicles that partners posted for, by VIN.
        """
        self.record_count += 1
        time_ms = message.reading.time_ms
        installation = None if message.imei is None else registry.at(message.imei, time_ms)
        if message.imei is None:
            vin, origin = message.reading.vin, origins.get(message.reading.vin)
        else:
            vin, origin = (installation.vin, installation.origin) if installation else ("", None)
        if origin is None or not self._earliest_ms <= time_ms <= message.received_at_ms + MAX_AHEAD_MS:
            self.ignored_count += 1
            return None
        self.reading_count += 1
        measured = measure_reading(message)
        source = None if installation is None else _odometer_source(installation, measured)
        self._take(vin, Observation(time_ms, message.received_at_ms, measured, source, is_posted=True))
        return Seen(vin, origin, 0, time_ms, measured, None)

    def _take(self, vin: str, observation: Observation) -> None:
        newest = self._vehicles.setdefault(vin, {})
        for name in _signals_of(observation):
            known = newest.get(name)
            if known is None or observation.time_ms > known.time_ms:
                newest[name] = observation

    def signals(self) -> dict[str, list[Signal]]:
        """VIN → newest signals."""
        return {
            vin: [
                Signal(name, observation.time_ms, orjson.dumps(_VALUES[name](observation)))
                for name, observation in newest.items()
            ]
            for vin, newest in self._vehicles.items()
        }

    def offers(self) -> dict[str, Offer]:
        """VIN → newest signals as Redis keeps them."""
        return {vin: offer_of(signals) for vin, signals in self.signals().items()}


def offer_of(signals: Iterable[Signal]) -> Offer:
    """Signals of one vehicle, at least one, as Redis keeps them."""
    values, times = [b""] * len(SIGNALS), []
    for name, time_ms, value in signals:
        values[SIGNALS[name]] = b"%d|%b" % (time_ms, value)
        times.append(time_ms)
    return Offer(min(times), tuple(values))
