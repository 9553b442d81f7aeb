"""A position as far as the scopes let it through."""

from dataclasses import dataclass
from enum import StrEnum

from serving.consent.gate import VehicleAccess
from serving.scopes import Scope


class Precision(StrEnum):
    """How exact the positions of an answer are."""

    PRECISE = "precise"
    COARSE = "coarse"


COARSE_DECIMALS = 2
"""0.01 degrees: cells of 1.1 km from north to south, at most as wide."""
COARSE_ERROR_M = 790.0
"""Half the diagonal of such a cell at the equator (0.005° × √2 × 111.32 km), the most that rounding moves."""
RANGE_ERROR_M = 5.0
"""User equivalent range error that turns HDOP into metres; stated in the API's description."""


@dataclass(frozen=True, slots=True)
class Position:
    """A measured position."""

    lat_deg: float
    lng_deg: float
    accuracy_m: float | None
    """One sigma, horizontal; None where the device does not report HDOP."""


def maybe_position(lat_deg: object, lng_deg: object, accuracy_m: float | None) -> Position | None:
    """The position, if it is one on this planet: the wire has room for ±214 degrees."""
    if not isinstance(lat_deg, int | float) or not isinstance(lng_deg, int | float):
        return None
    if not (-90 <= lat_deg <= 90 and -180 <= lng_deg <= 180):
        return None
    return Position(lat_deg, lng_deg, accuracy_m)


def precision_allowed(access: VehicleAccess) -> Precision | None:
    """The best precision that may be shown; None: no position at all."""
    if access.allows(Scope.LOCATION_PRECISE):
        return Precision.PRECISE
    if access.allows(Scope.LOCATION_COARSE):
        return Precision.COARSE
    return None


def accuracy_from_hdop(hdop: float | None) -> float | None:
    """Accuracy in metres from horizontal dilution of precision."""
    return None if hdop is None else round(hdop * RANGE_ERROR_M, 1)


def shown_at(position: Position, precision: Precision) -> Position:
    """The position at a precision; a coarse one says how far rounding may have moved it."""
    if precision is Precision.PRECISE:
        return Position(round(position.lat_deg, 7), round(position.lng_deg, 7), position.accuracy_m)
    return Position(
        round(position.lat_deg, COARSE_DECIMALS),
        round(position.lng_deg, COARSE_DECIMALS),
        None if position.accuracy_m is None else round(position.accuracy_m + COARSE_ERROR_M, 1),
    )
