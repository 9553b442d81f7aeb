"""Exact conversions between the wire's metric units and the blueprint's column units."""

METRES_PER_MILE = 1609.344
"""International mile (1959 agreement), exact."""
METRES_PER_FOOT = 0.3048
"""International foot, exact."""


def miles_from_metres(metres: float) -> float:
    """Metres to international miles."""
    return metres / METRES_PER_MILE


def metres_from_miles(miles: float) -> float:
    """International miles to metres."""
    return miles * METRES_PER_MILE


def mph_from_kph(kph: float) -> float:
    """Kilometres per hour to miles per hour."""
    return kph * 1000 / METRES_PER_MILE


def kph_from_mph(mph: float) -> float:
    """Miles per hour to kilometres per hour."""
    return mph * METRES_PER_MILE / 1000


def feet_from_metres(metres: float) -> float:
    """Metres to international feet."""
    return metres / METRES_PER_FOOT


def metres_from_feet(feet: float) -> float:
    """International feet to metres."""
    return feet * METRES_PER_FOOT
