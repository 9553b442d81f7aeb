"""Factory for alerts."""

from ingest.alerts.alert import Alert, Kind
from telematics.names import Origin
from tests.ingest.making import NOON_MS


def make_alert(**overrides: object) -> Alert:
    values = {
        "vin": "0VE00000000000017",
        "device_id": "001000000000017",
        "time_ms": NOON_MS,
        "received_at_ms": NOON_MS + 1000,
        "kind": Kind.DTC_NEW,
        "code": "P0300",
        "origin": Origin.RECORDED,
        "stream_position": 256,
        "is_late": False,
        "detail": {"codes": ["P0300"]},
        **overrides,
    }
    return Alert(**values)  # type: ignore[arg-type]  # a factory's overrides
