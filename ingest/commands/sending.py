"""One message of `device.commands.v1`: a command that is about to be written to its device."""

import json
from datetime import datetime

from ingest.commands.models import CommandRead
from ingest.stream.publisher import Outgoing
from telematics import clock
from telematics.names import Topic


def build_sending(command: CommandRead) -> Outgoing:
    """What the topic says about one attempt; `command_id` is also in the response that answers it.

    Args:
        command: counted as sent, with this attempt in `attempts`.
    """
    document = {
        "command_id": str(command.command_id),
        "device_id": command.imei,
        "command": command.text,
        "codec": command.codec.label,
        "attempt": command.attempts,
        "requested_by": command.requested_by,
        "created_at": _time(command.created_at),
        "sent_at": _time(command.sent_at),
        "expires_at": _time(command.expires_at),
    }
    value = json.dumps(document, separators=(",", ":")).encode()
    return Outgoing(Topic.COMMANDS, command.imei.encode(), value, [("content-type", b"application/json")])


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else clock.rfc3339_ms(moment)
