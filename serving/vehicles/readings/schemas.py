"""Shapes of POST /vehicles/{vin}/telemetry; a reading's schema comes from the table of its fields."""

from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from ingest.stream.reading_fields import (
    DTC_CODES,
    FLAGS,
    LOCATION,
    LOCATION_NEEDED,
    LOCATION_NUMBERS,
    MAX_DTC_CODES,
    METRIC_NAMES,
    NUMBERS,
    ODOMETER_SOURCE,
    TIMESTAMP,
    NumberField,
)
from serving.vehicles.readings.body import READINGS, MediaType
from serving.vehicles.readings.limits import (
    MAX_BODY_BYTES,
    MAX_LINE_BYTES,
    MAX_READINGS,
    MAX_STREAM_BYTES,
    MAX_STREAM_READINGS,
)
from telematics.names import OdometerSource

_TEXTS: Final = {
    "speed_mph": "mph.",
    "speed_kph": "km/h, with `units=metric`.",
    "heading": "Degrees from north, clockwise.",
    "altitude_ft": "Feet above mean sea level.",
    "altitude_m": "Metres above mean sea level, with `units=metric`.",
    "odometer": "Miles.",
    "odometer_km": "Kilometres, with `units=metric`.",
    "fuel_pct": "Fuel level, percent.",
    "battery_voltage": "Volts of the 12 V or 24 V system.",
    "rpm": "Engine speed, 1/min.",
    "coolant_c": "Coolant temperature, °C.",
    "engine_load_pct": "Calculated load, percent.",
    "maf_gps": "Air mass flow, g/s.",
    "ambient_c": "Outside temperature, °C.",
    "fuel_trim_pct": "Short-term fuel trim, percent.",
    "hv_soc_pct": "Charge of the traction battery, percent.",
    "satellites": "Satellites in use; 0 means no fix.",
    "event_id": "AVL id that caused the reading; 0 for a periodic one.",
    "lat": "Degrees north.",
    "lng": "Degrees east.",
    "accuracy_m": "Metres.",
    "ignition": "Whether the ignition is on.",
    "movement": "Whether the vehicle moves.",
}
_EXAMPLE: Final[dict[str, Any]] = {
    "timestamp": "2025-12-06T06:55:00Z",
    "location": {"lat": 37.7749, "lng": -122.4194, "accuracy_m": 5},
    "speed_mph": 45,
    "odometer": 45632.1,
    "battery_voltage": 12.4,
    "dtc_codes": ["P0300"],
}


class FaultRead(BaseModel):
    """One thing wrong with a reading."""

    pointer: str = Field(description="JSON Pointer into the reading.", examples=["/speed_mph"])
    reason: str = Field(description="A stable word.", examples=["out_of_range"])
    detail: str = Field(examples=["must lie between 0 and 1000"])


class ReadingResultRead(BaseModel):
    """What became of one reading."""

    index: int = Field(description="Number of the reading in the body, from 0; blank lines do not count.")
    status: Literal["accepted", "rejected"]
    errors: list[FaultRead] | None = Field(None, description="Why it was rejected.")


class ReadingsAcceptedRead(BaseModel):
    """The accepted readings are durable; they show in queries a moment later."""

    accepted: int = Field(ge=1)
    rejected: int = Field(ge=0)
    results: list[ReadingResultRead]


def _number(field: NumberField, is_metric: bool = False) -> dict[str, Any]:
    lowest, highest, name = field.lowest, field.highest, field.name
    if is_metric:
        metric = METRIC_NAMES[field.name]
        lowest, highest, name = metric.to_metric(lowest), metric.to_metric(highest), metric.name
    kind = "integer" if field.is_whole else "number"
    return {
        "type": [kind, "null"],
        "minimum": lowest,
        "maximum": highest,
        "description": _TEXTS[name],
    }


def _reading_schema() -> dict[str, Any]:
    properties: dict[str, Any] = {
        TIMESTAMP: {
            "type": "string",
            "format": "date-time",
            "description": "When it was measured, RFC 3339 with its zone; since 2010, at most a day ahead.",
        },
        LOCATION: {
            "type": ["object", "null"],
            "required": list(LOCATION_NEEDED),
            "additionalProperties": False,
            "properties": {field.name: _number(field) for field in LOCATION_NUMBERS}
            | {
                field.name: {**_number(field), "type": "number"}
                for field in LOCATION_NUMBERS
                if field.name in LOCATION_NEEDED
            },
        },
    }
    properties |= {field.name: _number(field) for field in NUMBERS}
    properties |= {
        METRIC_NAMES[field.name].name: _number(field, is_metric=True)
        for field in NUMBERS
        if field.name in METRIC_NAMES
    }
    properties |= {
        flag.name: {"type": ["boolean", "null"], "description": _TEXTS[flag.name]} for flag in FLAGS
    }
    properties[ODOMETER_SOURCE] = {
        "enum": [*(source.value for source in OdometerSource), None],
        "description": "Where the odometer was read: `can` or `obd` from the vehicle, `gnss` counted by the "
        "device. Left out: `gnss`.",
    }
    properties[DTC_CODES] = {
        "type": ["array", "null"],
        "maxItems": MAX_DTC_CODES,
        "items": {"type": "string", "pattern": "^[PCBUpcbu][0-3][0-9A-Fa-f]{3}(-[0-9A-Fa-f]{2})?$"},
        "description": "SAE J2012; an empty list means that there are none.",
    }
    return {
        "title": "Reading",
        "type": "object",
        "required": [TIMESTAMP],
        "additionalProperties": False,
        "properties": properties,
        "example": _EXAMPLE,
    }


_LIST: Final[dict[str, Any]] = {
    "type": "array",
    "minItems": 1,
    "maxItems": MAX_READINGS,
    "items": {"description": "A Reading; each is checked by itself."},
}

REQUEST_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        MediaType.JSON.value: {
            "schema": {
                "oneOf": [
                    _reading_schema(),
                    {
                        "type": "object",
                        "required": [READINGS],
                        "additionalProperties": False,
                        "properties": {READINGS: _LIST},
                    },
                    _LIST,
                ],
                "description": f"At most {MAX_READINGS} readings in {MAX_BODY_BYTES} bytes.",
            },
            "example": _EXAMPLE,
        },
        MediaType.NDJSON.value: {
            "schema": {
                "type": "string",
                "description": f"A reading a line, {MAX_LINE_BYTES} bytes at most; "
                f"at most {MAX_STREAM_READINGS} lines in {MAX_STREAM_BYTES} bytes.",
            },
            "example": '{"timestamp":"2025-12-06T06:55:00Z","speed_mph":45}\n',
        },
    },
}
"""OpenAPI's request body: one reading is checked as a whole, the readings of a list one by one."""
