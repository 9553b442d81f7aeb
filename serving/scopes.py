"""What a partner may be allowed to read, by class of data, and to do.

A scope counts only where three agree: the partner holds it, the token asks for it, and the owner's grant for
the vehicle covers it.
"""

from collections.abc import Iterable
from enum import StrEnum

from telematics.errors import ConfigurationError
from telematics.names import WRITE_SCOPE


class Scope(StrEnum):
    """A class of vehicle data, or something that may be done to a vehicle."""

    TELEMETRY_READ = "telemetry:read"
    ODOMETER_READ = "odometer:read"
    LOCATION_PRECISE = "location:precise"
    LOCATION_COARSE = "location:coarse"
    DTC_READ = "dtc:read"
    MAINTENANCE_READ = "maintenance:read"
    SCORE_READ = "score:read"
    TELEMETRY_WRITE = WRITE_SCOPE
    DEVICE_COMMAND = "device:command"


DESCRIPTIONS: dict[Scope, str] = {
    Scope.TELEMETRY_READ: "Live status and records: speed, fuel, battery voltage, engine values.",
    Scope.ODOMETER_READ: "Odometer, now and over time.",
    Scope.LOCATION_PRECISE: "Position as measured, with heading and altitude.",
    Scope.LOCATION_COARSE: "Position rounded to 0.01 degrees (about 1.1 km), without heading and altitude.",
    Scope.DTC_READ: "Diagnostic trouble codes.",
    Scope.MAINTENANCE_READ: "Maintenance predictions and the health score, with the findings behind them: "
    "voltages, temperatures, use, how often trouble codes were set (which ones: dtc:read).",
    Scope.SCORE_READ: "The driving score. Never held by default by history and insurer partners.",
    Scope.TELEMETRY_WRITE: "Posting readings of the vehicle. Held by no kind of partner by default.",
    Scope.DEVICE_COMMAND: "Commands to the vehicle's tracker and its answers, which may hold all that it "
    "knows, positions too. Held by no kind of partner by default.",
}


class PartnerKind(StrEnum):
    """What a partner does with the data; decides its default scopes."""

    HISTORY = "history"
    DEALER = "dealer"
    INSURER = "insurer"


_VEHICLE_SCOPES = frozenset(
    {
        Scope.TELEMETRY_READ,
        Scope.ODOMETER_READ,
        Scope.LOCATION_PRECISE,
        Scope.DTC_READ,
        Scope.MAINTENANCE_READ,
    }
)

DEFAULT_SCOPES: dict[PartnerKind, frozenset[Scope]] = {
    # The driving score judges a person. The FTC's order of 2026-01-14 (GM) bars such disclosure to consumer
    # reporting agencies; it binds one maker, and we take it as the measure: on only when named.
    PartnerKind.HISTORY: _VEHICLE_SCOPES,
    PartnerKind.INSURER: _VEHICLE_SCOPES,
    PartnerKind.DEALER: _VEHICLE_SCOPES | {Scope.SCORE_READ},
}


_BY_TEXT = {scope.value: scope for scope in Scope}


class UnknownScopeError(ConfigurationError):
    """A scope that does not exist was named."""


def parse_scopes(texts: Iterable[str]) -> frozenset[Scope]:
    """The scopes named; an empty input gives none.

    Raises:
        UnknownScopeError: a text is no scope; the message lists those that exist.
    """
    found = set()
    for text in texts:
        try:
            found.add(Scope(text))
        except ValueError:
            message = f"there is no scope {text!r}; the scopes are {', '.join(Scope)}"
            raise UnknownScopeError(message) from None
    return frozenset(found)


def known_scopes(texts: Iterable[str]) -> frozenset[Scope]:
    """The scopes among the texts; what another release may have written and this one lacks grants nothing."""
    return frozenset(_BY_TEXT[text] for text in texts if text in _BY_TEXT)


def format_scopes(scopes: Iterable[Scope]) -> str:
    """The scopes as OAuth writes them (RFC 6749 section 3.3), in the order of their declaration."""
    held = set(scopes)
    return " ".join(scope for scope in Scope if scope in held)
