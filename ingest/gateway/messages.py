"""What becomes of a message of codecs 12 to 15 from a device, over TCP or UDP."""

from ingest.codec8.records import CodecId, CommandMessage
from ingest.commands.answers import build_response
from ingest.gateway.command_slot import CommandSlot
from ingest.gateway.hub import Hub
from telematics.names import Topic


def settle_message(hub: Hub, imei: str, message: CommandMessage, slot: CommandSlot | None) -> None:
    """Match it with the command that is out, and publish it; it is never acknowledged.

    Args:
        hub: the gateway.
        imei: of the session.
        message: decoded.
        slot: of the session; None where commands cannot be sent.
    """
    if message.codec is CodecId.CODEC_12 and not message.payload:
        hub.stats.pings += 1  # devices keep their link open with it ("Empty Codec 12")
        return
    hub.stats.messages += 1
    answer = None if slot is None else slot.match(message)
    if answer is not None:
        hub.stats.commands_answered += 1
        hub.commands.answered(answer)
    hub.outbox.publish(imei, Topic.RESPONSES, build_response(message, imei, hub.now_ms(), answer))
