"""Posted readings: what one is, how it is checked, and how it travels through `telemetry.readings.v1`.

The message: key = device_id (the IMEI of a device key, or `partner:{client_id}`), value = the reading as
canonical JSON, header `received_at` as in the frame topic (ASCII decimal milliseconds). One message is one
reading, so its record index in a stream position is 0. Canonical means: the blueprint's units, absent fields
left out, keys sorted, no blanks, floating-point columns always as floating-point numbers. So the same reading
posted twice is the same bytes, and `content_hash` (xxh64 of them) makes it one row.

Who reads the topic:

- `decode_reading(message)` gives a `ReadingMessage` or raises `MalformedMessageError`, as `decode_frame` does
  for frames;
- `ingest.reading_measurement.measure_reading(message)` gives the same `Measurement` that
  `ingest.measurement.measure` makes of an AVL record: column names to values, absent where not known. Unlike
  a record it may lack `speed_mph`, `altitude_ft` and `satellites`; `lat` and `lng` are there wherever
  `is_valid` is true, and `event_id` and `is_valid` always are;
- the vehicle: `message.imei` names the device of a device key, and the registry says which car it was in at
  `reading.time_ms`, as for frames. Of a partner's reading `imei` is None and the car is `reading.vin`: the
  API let it in because the owner granted it;
- the odometer: for a device it is one of the three series, chosen by its installation
  (`ingest.measurement.odometer_metres`). A partner's word is in no series: `odometer` with the source
  `PARTNER_ODOMETER`.

Reading never trusts: whoever can write to the topic can write anything.
"""

import re
from typing import Any, Final, NamedTuple

import orjson
from xxhash import xxh64_intdigest

from ingest.stream.messages import (
    RECEIVED_AT_HEADER,
    Headers,
    MalformedMessageError,
    RawMessage,
    decode_received_at,
)
from ingest.stream.reading_fields import TIMESTAMP, VIN
from ingest.stream.reading_form import Reading, ReadingRefusedError, parse_reading
from telematics import imei as imei_form
from telematics import vin as vin_form
from telematics.clock import from_epoch_ms, rfc3339_ms

PARTNER_PREFIX: Final = "partner:"
MAX_READING_BYTES: Final = 16_384
"""All fields and 128 trouble codes are 3 kB; a message that is larger is not ours."""

_PARTNER_ID: Final = re.compile(r"partner:[A-Za-z0-9_.-]{1,64}")
_SIGN_BIT: Final = 1 << 63
_TWO_TO_64: Final = 1 << 64


class ReadingMessage(NamedTuple):
    """One reading with its place in the stream."""

    topic: str
    partition: int
    offset: int
    device_id: str
    """IMEI, or `partner:{client_id}`."""
    reading: Reading
    received_at_ms: int
    """Milliseconds since the epoch, by the API's clock."""
    content_hash: int
    """xxh64 of the canonical JSON, as the signed 64-bit integer of the same bits."""

    @property
    def imei(self) -> str | None:
        """The device, if one sent it; None for a partner."""
        return None if self.device_id.startswith(PARTNER_PREFIX) else self.device_id


def partner_device_id(client_id: str) -> str:
    """The `device_id` of what a partner posts."""
    return PARTNER_PREFIX + client_id


def is_device_id(text: str) -> bool:
    """Whether readings may have this key."""
    return imei_form.is_well_formed(text) or _PARTNER_ID.fullmatch(text) is not None


def encode_reading(reading: Reading) -> bytes:
    """The canonical JSON of a reading."""
    document = {**reading.fields, VIN: reading.vin, TIMESTAMP: rfc3339_ms(from_epoch_ms(reading.time_ms))}
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def encode_reading_headers(received_at_ms: int) -> Headers:
    """The headers of a reading's message."""
    return [(RECEIVED_AT_HEADER, b"%d" % received_at_ms)]


def content_hash(canonical: bytes) -> int:
    """xxh64 (seed 0) of a reading's canonical JSON, as the signed 64-bit integer of the same bits."""
    digest: int = xxh64_intdigest(canonical)
    return digest - _TWO_TO_64 if digest & _SIGN_BIT else digest


def decode_reading(message: RawMessage) -> ReadingMessage:
    """One message of the readings topic, checked.

    Raises:
        MalformedMessageError: key, header or value are not those of a reading (`no_position`, `bad_key`,
            `no_value`, `bad_headers`, `bad_json`, `bad_vin`, or the first fault's reason).
    """
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    if topic is None or partition is None or offset is None:
        reason = "no_position"
        raise MalformedMessageError(reason, "the message has no topic, partition or offset")
    key, value = message.key(), message.value()
    if not isinstance(key, bytes) or not is_device_id(device_id := key.decode("ascii", "replace")):
        reason = "bad_key"
        raise MalformedMessageError(reason, "the key is neither an IMEI nor partner:CLIENT_ID")
    if not isinstance(value, bytes) or not value:
        reason = "no_value"
        raise MalformedMessageError(reason, "the message has no reading in it")
    received_at_ms = decode_received_at(received_at_of(message.headers()))
    reading = decode_value(value)
    canonical = encode_reading(reading)
    return ReadingMessage(
        topic, partition, offset, device_id, reading, received_at_ms, content_hash(canonical)
    )


def decode_value(value: bytes) -> Reading:
    """The reading in a message's value.

    Raises:
        MalformedMessageError: there is none (`bad_json`, `bad_vin`, or the first fault's reason).
    """
    try:
        document: Any = orjson.loads(value) if len(value) <= MAX_READING_BYTES else None
    except orjson.JSONDecodeError as error:
        reason = "bad_json"
        raise MalformedMessageError(reason, "the value is not JSON") from error
    if not isinstance(document, dict):
        reason = "bad_json"
        detail = f"the value is not a JSON object of at most {MAX_READING_BYTES} bytes"
        raise MalformedMessageError(reason, detail)
    vin = document.pop(VIN, None)
    if not isinstance(vin, str) or not vin_form.is_well_formed(vin):
        reason = "bad_vin"
        raise MalformedMessageError(reason, "the reading names no vehicle")
    try:
        return parse_reading(document, vin)
    except ReadingRefusedError as error:
        raise MalformedMessageError(error.faults[0].reason, str(error)) from error


def received_at_of(headers: Headers | dict[str, str | bytes | None] | None) -> bytes | str | None:
    """The content of the header `received_at`, unchecked; None without one."""
    pairs = headers.items() if isinstance(headers, dict) else headers or ()
    return next((content for name, content in pairs if name == RECEIVED_AT_HEADER), None)
