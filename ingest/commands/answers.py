"""Which message from a device answers which command, and what goes to `device.responses.v1`.

Nothing in codec 12 says which command it answers, so a device has one command out at a time and the next
answer of the same codec is its. Codec 14 carries the IMEI: an answer for another one is nobody's. Everything
else that devices say in these codecs (photos, serial data, delayed responses of codec 13) was not asked for;
it is published all the same.
"""

import json
from dataclasses import dataclass
from typing import Final

from ingest.codec8.records import CodecId, CommandMessage, CommandType
from ingest.commands.models import Command, CommandStatus
from telematics import clock

_REFUSED: Final = "the device refused: the IMEI in the command is not its own"


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of a command."""

    command: Command
    status: CommandStatus
    text: str


def match_answer(outstanding: Command | None, message: CommandMessage) -> Answer | None:
    """The answer that a message is to the command that is out, or None."""
    if outstanding is None or message.codec is not outstanding.codec:
        return None
    if message.codec is CodecId.CODEC_14:
        if message.imei != outstanding.imei:
            return None
        if message.type == CommandType.NACK:
            return Answer(outstanding, CommandStatus.FAILED, _REFUSED)
    if message.type != CommandType.RESPONSE:
        return None
    return Answer(outstanding, CommandStatus.ANSWERED, readable(message.payload))


def readable(payload: bytes) -> str:
    r"""A payload as text that every store takes: what is not printable ASCII or UTF-8 becomes ``\xNN``."""
    text = payload.rstrip(b"\x00\r\n").decode("utf-8", "backslashreplace")
    return "".join(
        character if character.isprintable() or character in "\r\n\t" else f"\\x{ord(character):02x}"
        for character in text
    )


def build_response(message: CommandMessage, imei: str, received_at_ms: int, answer: Answer | None) -> bytes:
    """The JSON of one message of `device.responses.v1`; the key is the IMEI.

    Args:
        message: what the device said.
        imei: of the session, whatever the message says.
        received_at_ms: milliseconds since the epoch, our clock.
        answer: the command that it ends, if any.
    """
    document = {
        "device_id": imei,
        "command_id": None if answer is None else str(answer.command.command_id),
        "command": None if answer is None else answer.command.text,
        "status": None if answer is None else answer.status.value,
        "codec": message.codec.label,
        "type": message.type,
        "text": readable(message.payload),
        "payload_hex": message.payload.hex(),
        "device_time": (
            None
            if message.timestamp_s is None
            else clock.rfc3339_ms(clock.from_epoch_ms(message.timestamp_s * 1000))
        ),
        "received_at": clock.rfc3339_ms(clock.from_epoch_ms(received_at_ms)),
    }
    return json.dumps(document, separators=(",", ":")).encode()
