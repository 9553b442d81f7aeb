"""What a posted reading measured, as the columns that an AVL record fills (`ingest.measurement`)."""

import json
from typing import Final

from ingest.measurement import ODOMETER_COLUMNS, Measurement
from ingest.stream.reading_fields import DTC_CODES, FLAGS, LOCATION, NUMBERS, ODOMETER, ODOMETER_SOURCE
from ingest.stream.readings import ReadingMessage
from telematics.names import OdometerSource
from telematics.units import metres_from_miles

PARTNER_ODOMETER: Final = "partner"
"""`odometer_source` of an odometer that a partner posted: its word, and in no device's series."""

_RANGE_ERROR_M: Final = 5.0
"""`ingest.measurement.accuracy_m`: accuracy is HDOP times this."""
_SAME_NAME: Final = tuple(field.name for field in NUMBERS if field.name not in {ODOMETER, "battery_voltage"})
_FLAG_NAMES: Final = tuple(flag.name for flag in FLAGS)


def measure_reading(message: ReadingMessage) -> Measurement:
    """The columns that a reading fills; identity, time and vehicle are the caller's.

    A device's odometer without a source counts as its own, `gnss`: the weakest of the three.
    """
    fields = message.reading.fields
    measured: Measurement = {"event_id": 0, "is_valid": False}
    for name in _SAME_NAME + _FLAG_NAMES:
        if name in fields:
            measured[name] = _scalar(fields[name])
    if "battery_voltage" in fields:
        measured["battery_v"] = _scalar(fields["battery_voltage"])
    location = fields.get(LOCATION)
    if isinstance(location, dict):
        measured["lat"], measured["lng"] = location["lat"], location["lng"]
        measured["is_valid"] = fields.get("satellites") != 0
        if "accuracy_m" in location:
            measured["hdop"] = location["accuracy_m"] / _RANGE_ERROR_M
    codes = fields.get(DTC_CODES)
    if isinstance(codes, list):
        measured["dtc_codes"] = tuple(codes)
    miles, source = fields.get(ODOMETER), fields.get(ODOMETER_SOURCE)
    if isinstance(miles, float):
        if message.imei is not None:
            series = OdometerSource.GNSS if source is None else OdometerSource(str(source))
            measured[ODOMETER_COLUMNS[series]] = round(metres_from_miles(miles))
        else:
            measured["odometer"] = miles
            measured["odometer_source"] = PARTNER_ODOMETER
            if source is not None:
                measured["raw_data"] = json.dumps({ODOMETER_SOURCE: source})
    return measured


def _scalar(value: object) -> int | float | bool:
    assert isinstance(value, (int, float))  # noqa: S101 - `parse_reading` lets nothing else pass
    return value
