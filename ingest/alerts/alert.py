"""An alert, its name for ever, and its form on `telemetry.alerts.v1`.

On the topic an alert is a CloudEvent 1.0 in structured JSON mode (CNCF CloudEvents 1.0.2, "JSON Event Format"
and "Kafka Protocol Binding" 3.3), keyed by VIN. Its `id` is a hash of device, time, kind and code, so an
alert that is sent again, whoever sends it and why, is the same event. Reading never trusts: whoever can write
to the topic can write anything, so what is no alert becomes a `MalformedAlertError`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

import orjson

from telematics import vin as vin_form
from telematics.clock import epoch_ms, from_epoch_ms, rfc3339_ms
from telematics.errors import PistonError
from telematics.names import Origin

SOURCE: Final = "/piston/live"
TYPE_PREFIX: Final = "piston.alert."
CONTENT_TYPE: Final = b"application/cloudevents+json; charset=UTF-8"

_ID_BYTES: Final = 16
_LONGEST_DEVICE_ID: Final = 128


class Kind(StrEnum):
    """What an alert is about."""

    DTC_NEW = "dtc_new"
    """A trouble code that was not there before; the code is the trouble code."""
    DTC_CLEARED = "dtc_cleared"
    HARSH_EVENT = "harsh_event"
    """AVL 253; the code is `acceleration`, `braking` or `cornering`."""
    UNPLUG = "unplug"
    """AVL 252: the tracker lost its supply."""
    TOWING = "towing"
    """AVL 246."""
    CRASH = "crash"
    """AVL 247; the code is its value, 1 or 6."""
    LOW_BATTERY = "low_battery"
    """The 12 V battery stays low."""
    VIN_MISMATCH = "vin_mismatch"
    """The bus names another VIN than the registry; the code is the AVL id: 256, 325, or 233 of 233 to 235."""
    ODOMETER_BACKWARDS = "odometer_backwards"
    """The code is the odometer: `can`, `obd` or `gnss`."""


class Severity(StrEnum):
    """How soon somebody should look."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


SEVERITIES: Final[Mapping[Kind, Severity]] = {
    Kind.DTC_NEW: Severity.WARNING,
    Kind.DTC_CLEARED: Severity.INFO,
    Kind.HARSH_EVENT: Severity.INFO,
    Kind.UNPLUG: Severity.WARNING,
    Kind.TOWING: Severity.CRITICAL,
    Kind.CRASH: Severity.CRITICAL,
    Kind.LOW_BATTERY: Severity.WARNING,
    Kind.VIN_MISMATCH: Severity.WARNING,
    Kind.ODOMETER_BACKWARDS: Severity.WARNING,
}


class MalformedAlertError(PistonError):
    """A message of the alert topic is no alert of ours."""


class Finding(NamedTuple):
    """What a rule found in a record."""

    kind: Kind
    code: str
    detail: Mapping[str, object]
    """JSON: the numbers behind it, with their units in the names."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A finding with its vehicle, device and time."""

    vin: str
    device_id: str
    time_ms: int
    """Of the record, by the device's clock."""
    received_at_ms: int
    kind: Kind
    code: str
    origin: Origin
    stream_position: int
    """Of the record that showed it."""
    is_late: bool
    """Whether records of a later time had come before."""
    detail: Mapping[str, object]

    @property
    def alert_id(self) -> str:
        """32 hexadecimal digits: half of SHA-256 over device, time in milliseconds, kind and code."""
        name = f"{self.device_id}|{self.time_ms}|{self.kind}|{self.code}"
        return hashlib.sha256(name.encode()).digest()[:_ID_BYTES].hex()

    @property
    def severity(self) -> Severity:
        """Severity of its kind."""
        return SEVERITIES[self.kind]


def encode(alert: Alert) -> bytes:
    """The alert as a CloudEvent."""
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": alert.alert_id,
            "source": SOURCE,
            "type": TYPE_PREFIX + alert.kind,
            "subject": alert.vin,
            "time": rfc3339_ms(from_epoch_ms(alert.time_ms)),
            "datacontenttype": "application/json",
            "data": {
                "vin": alert.vin,
                "device_id": alert.device_id,
                "kind": alert.kind,
                "code": alert.code,
                "severity": alert.severity,
                "received_at": rfc3339_ms(from_epoch_ms(alert.received_at_ms)),
                "origin": alert.origin,
                "stream_position": alert.stream_position,
                "is_late": alert.is_late,
                "detail": alert.detail,
            },
        }
    )


def decode(value: bytes | str | None) -> Alert:
    """The alert of a message.

    Raises:
        MalformedAlertError: it is none, or its id is not that of its content.
    """
    try:
        event = orjson.loads(value or b"")
        alert = _alert_of(event)
        is_itself = event["id"] == alert.alert_id and event["specversion"] == "1.0"
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        message = f"no alert: {type(error).__name__}"
        raise MalformedAlertError(message) from error
    if not is_itself:
        message = "no alert: its id is not that of its content"
        raise MalformedAlertError(message)
    return alert


def _alert_of(event: Any) -> Alert:
    data = event["data"]
    position, detail = data["stream_position"], data["detail"]
    alert = Alert(
        vin=data["vin"],
        device_id=data["device_id"],
        time_ms=epoch_ms(datetime.fromisoformat(event["time"])),
        received_at_ms=epoch_ms(datetime.fromisoformat(data["received_at"])),
        kind=Kind(data["kind"]),
        code=str(data["code"]),
        origin=Origin(data["origin"]),
        stream_position=position,
        is_late=bool(data["is_late"]),
        detail=detail,
    )
    is_ours = (
        vin_form.is_well_formed(alert.vin)
        and isinstance(alert.device_id, str)
        and 0 < len(alert.device_id) <= _LONGEST_DEVICE_ID
        and isinstance(position, int)
        and 0 <= position < 1 << 63
        and isinstance(detail, dict)
    )
    if not is_ours:
        message = "a member has not its form"
        raise ValueError(message)
    return alert
