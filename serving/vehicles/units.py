"""The two systems of units that answers come in, and how many digits mean something."""

from enum import StrEnum

from telematics.units import kph_from_mph, metres_from_feet, metres_from_miles


class Units(StrEnum):
    """`imperial` keeps the blueprint's names; `metric` renames each field whose unit changes."""

    IMPERIAL = "imperial"
    METRIC = "metric"


def speed(mph: float | None, units: Units) -> float | None:
    """Speed in mph or km/h; trackers report whole km/h, so hundredths lose nothing."""
    if mph is None:
        return None
    return round(mph if units is Units.IMPERIAL else kph_from_mph(mph), 2)


def distance(miles: float | None, units: Units) -> float | None:
    """Distance in miles or kilometres, to the thousandth (odometers count metres)."""
    if miles is None:
        return None
    return round(miles if units is Units.IMPERIAL else metres_from_miles(miles) / 1000, 3)


def altitude(feet: float | None, units: Units) -> float | None:
    """Altitude in feet or metres, to the tenth."""
    if feet is None:
        return None
    return round(feet if units is Units.IMPERIAL else metres_from_feet(feet), 1)


def single_precision(value: float | None) -> float | None:
    """A value kept as a 32-bit float, without the digits that widening it to 64 bits made up."""
    return None if value is None else float(f"{value:.7g}")
