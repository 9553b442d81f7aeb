"""A command to a device, from the wish to its answer, as values."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from ingest.codec8.encoding import encode_command_frame
from ingest.codec8.records import CodecId
from telematics import imei as imei_form
from telematics.errors import ConfigurationError

MAX_TEXT_BYTES: Final = 1024
"""No vendor command comes near; devices take at most one packet of 1,280 bytes."""
MAX_LIFETIME_S: Final = 365 * 86_400
DEFAULT_LIFETIME_S: Final = 7 * 86_400
"""A car may stand in a garage without network for days."""
MAX_ATTEMPTS: Final = 3
"""A command that restarts a device is never answered: it must not restart it for ever."""

COMMAND_CODECS: Final = (CodecId.CODEC_12, CodecId.CODEC_14)
"""What a server may send; codec 14 names the IMEI, and another device than that refuses."""


class CommandStatus(StrEnum):
    """Where a command stands."""

    QUEUED = "queued"
    SENT = "sent"
    """Written to a session; its answer is out."""
    ANSWERED = "answered"
    EXPIRED = "expired"
    """Not answered before its time was over."""
    FAILED = "failed"
    """Refused by the device, or sent `MAX_ATTEMPTS` times without an answer."""


@dataclass(frozen=True, slots=True)
class NewCommand:
    """A command to be queued.

    Raises:
        ConfigurationError: the IMEI, the text, the codec or the lifetime is not what can be sent.
    """

    imei: str
    text: str
    requested_by: str
    codec: CodecId = CodecId.CODEC_12
    lifetime_s: float = DEFAULT_LIFETIME_S

    def __post_init__(self) -> None:
        if imei_form.parse(self.imei) != self.imei:
            message = "an IMEI is given without blanks"
            raise ConfigurationError(message)
        if not self.text.isascii() or not self.text.isprintable() or not self.text.strip():
            message = "a command is a line of printable ASCII text, for example getinfo"
            raise ConfigurationError(message)
        if len(self.text) > MAX_TEXT_BYTES:
            message = f"a command has {MAX_TEXT_BYTES} characters at most, this one has {len(self.text)}"
            raise ConfigurationError(message)
        if self.codec not in COMMAND_CODECS:
            message = "commands are sent with codec 12 or 14"
            raise ConfigurationError(message)
        if not 1 <= self.lifetime_s <= MAX_LIFETIME_S:
            message = "a command lives between a second and a year"
            raise ConfigurationError(message)


@dataclass(frozen=True, slots=True)
class Command:
    """A command on its way to a device."""

    command_id: UUID
    imei: str
    codec: CodecId
    text: str

    def encode(self) -> bytes:
        """The frame to write to the session."""
        return encode_command_frame(self.text, imei=self.imei if self.codec is CodecId.CODEC_14 else None)


@dataclass(frozen=True, slots=True)
class CommandRead:
    """A command as `piston device commands` shows it."""

    command_id: UUID
    imei: str
    codec: CodecId
    text: str
    status: CommandStatus
    requested_by: str
    created_at: datetime
    expires_at: datetime
    sent_at: datetime | None
    answered_at: datetime | None
    answer: str | None
    """What the device answered; of a failed command the reason."""
    attempts: int
