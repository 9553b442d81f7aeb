"""The one command that a session may have out, and the time it was written."""

from ingest.codec8.records import CommandMessage
from ingest.commands.answers import Answer, match_answer
from ingest.commands.models import Command


class CommandSlot:
    """Room for one command on its way to the device and one whose answer is out."""

    __slots__ = ("outstanding", "sent_at", "waiting")

    def __init__(self) -> None:
        self.waiting: Command | None = None
        """Taken, to be written behind the next acknowledgement."""
        self.outstanding: Command | None = None
        """Written, and not answered."""
        self.sent_at = 0.0

    def is_free(self, now: float, answer_timeout_s: float) -> bool:
        """Whether another command may be written; one that was never answered stands in nobody's way."""
        if self.waiting is not None:
            return False
        return self.outstanding is None or now - self.sent_at >= answer_timeout_s

    def write(self, now: float) -> bytes:
        """The bytes of the command that waits, which is out from now on; nothing if none waits."""
        if self.waiting is None:
            return b""
        self.outstanding, self.waiting, self.sent_at = self.waiting, None, now
        return self.outstanding.encode()

    def match(self, message: CommandMessage) -> Answer | None:
        """The answer that a message is to the command that is out; the slot is free then."""
        answer = match_answer(self.outstanding, message)
        if answer is not None:
            self.outstanding = None
        return answer
