"""Shapes of the command resources."""

from datetime import datetime
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from ingest.commands.models import (
    DEFAULT_LIFETIME_S,
    MAX_LIFETIME_S,
    MAX_TEXT_BYTES,
    CommandRead,
    CommandStatus,
)
from telematics.clock import rfc3339_ms

MAX_BODY_BYTES: Final = 4096
"""A command has 1,024 characters; JSON may escape some."""


class CommandWrite(BaseModel):
    """A command for the tracker in the vehicle."""

    model_config = ConfigDict(extra="forbid", strict=True, title="CommandWrite")

    command: str = Field(
        description="A line of printable ASCII, as the tracker's manual has it.",
        min_length=1,
        max_length=MAX_TEXT_BYTES,
        pattern=r"^[ -~]*[!-~][ -~]*$",
        examples=["getinfo"],
    )
    expires_in_s: int = Field(
        DEFAULT_LIFETIME_S,
        description="Seconds until it is given up; a car may have no network for days.",
        ge=1,
        le=MAX_LIFETIME_S,
    )


class CommandDocument(BaseModel):
    """A command, and what became of it."""

    model_config = ConfigDict(title="Command")

    command_id: str = Field(examples=["5b0f7f9e-6a7c-4c55-9d2e-0d7f8c2a4b11"])
    command: str = Field(examples=["getinfo"])
    status: CommandStatus = Field(
        description="`queued` until the tracker is connected and has sent what it had to say, `sent` until "
        "it answers, then `answered`; `expired` or `failed` where it never did."
    )
    answer: str | None = Field(description="What the tracker answered; of a failed command the reason.")
    attempts: int = Field(ge=0)
    created_at: str = Field(json_schema_extra={"format": "date-time"})
    expires_at: str = Field(json_schema_extra={"format": "date-time"})
    sent_at: str | None
    answered_at: str | None


def command_document(read: CommandRead) -> dict[str, Any]:
    """The document of a command. The tracker's IMEI and who asked are not the partner's business."""
    return CommandDocument(
        command_id=str(read.command_id),
        command=read.text,
        status=read.status,
        answer=read.answer,
        attempts=read.attempts,
        created_at=rfc3339_ms(read.created_at),
        expires_at=rfc3339_ms(read.expires_at),
        sent_at=_moment(read.sent_at),
        answered_at=_moment(read.answered_at),
    ).model_dump(mode="json")


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339_ms(moment)
