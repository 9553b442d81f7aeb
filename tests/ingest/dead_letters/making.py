"""Factory for dead letters."""

from ingest.dead_letters.models import DeadLetter, Status
from telematics.clock import from_epoch_ms
from telematics.names import Topic
from tests.ingest.making import NOON_MS, make_frame, make_record


def make_letter(**overrides: object) -> DeadLetter:
    values = {
        "dead_letter_id": 1,
        "topic": Topic.AVL_FRAMES.value,
        "partition": 0,
        "offset": 7,
        "device_id": "001000000000017",
        "transport": "tcp",
        "received_at": from_epoch_ms(NOON_MS + 1000),
        "reason": "bad_crc",
        "detail": "",
        "message": make_frame(make_record(), make_record(NOON_MS + 1)),
        "status": Status.OPEN,
        "created_at": from_epoch_ms(NOON_MS + 2000),
        **overrides,
    }
    return DeadLetter(**values)  # type: ignore[arg-type]  # a factory's overrides
