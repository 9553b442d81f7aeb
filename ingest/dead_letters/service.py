"""Sending dead letters again, and dropping them.

Order of a replay, which is the promise:

1. the letter is taken: locked and still open, so that two replays at once send it once;
2. today's decoder looks at it; what it would reject again stays open, untouched;
3. it goes to its topic as it came: same key, bytes and headers; until Kafka has confirmed it;
4. its status and the audit event are written, and the transaction commits.

Dying before 3 is done leaves it open and, at worst, in the topic; dying between 3 and 4 leaves it open and in
the topic. The next replay sends it again, and the sink leaves out records that it has by their identity
(device, time, event, content), so that they land exactly once either way. By way of the topic, and not
straight into the table, because live state, alerts and cursors have to see them, too.
"""

from enum import StrEnum
from typing import NamedTuple, Protocol

from ingest.dead_letters import repository
from ingest.dead_letters.models import Status, examine, headers_of
from ingest.device_time import ANY_STORABLE, DeviceTimes
from ingest.registry.repository import Connection
from ingest.stream.messages import Headers


class MessagePublisher(Protocol):
    """What a replay needs of Kafka."""

    def publish(self, topic: str, key: bytes, value: bytes, headers: Headers) -> None:
        """Make a message durable.

        Raises:
            UnavailableError: it is not known to be.
        """


class Outcome(StrEnum):
    """What a command did to a letter."""

    REPLAYED = "replayed"
    DROPPED = "dropped"
    STILL_REJECTED = "still_rejected"
    NOT_OPEN = "not_open"


class LetterResult(NamedTuple):
    """One letter's outcome, with the reason where nothing was done."""

    dead_letter_id: int
    outcome: Outcome
    reason: str


def replay(
    connection: Connection,
    dead_letter_id: int,
    publisher: MessagePublisher,
    actor: str,
    times: DeviceTimes = ANY_STORABLE,
) -> LetterResult:
    """Send one letter again, in one transaction of its own.

    Args:
        connection: outside a transaction.
        dead_letter_id: which.
        publisher: takes it to Kafka.
        actor: for the audit.
        times: the device times that count now.

    Raises:
        UnavailableError: Kafka did not confirm it; the letter stays open.
    """
    with connection.transaction():
        letter = repository.take_open(connection, dead_letter_id)
        if letter is None:
            return _not_open(dead_letter_id)
        verdict = examine(letter, times)
        if not verdict.is_accepted:
            return LetterResult(dead_letter_id, Outcome.STILL_REJECTED, verdict.reason)
        key = (letter.device_id or "").encode()
        publisher.publish(letter.topic, key, letter.message, headers_of(letter))
        detail: dict[str, object] = {"records": verdict.record_count}
        repository.settle(connection, letter, Status.REPLAYED, actor, detail)
    return LetterResult(dead_letter_id, Outcome.REPLAYED, "")


def drop(connection: Connection, dead_letter_id: int, because: str, actor: str) -> LetterResult:
    """Set one letter aside for good, in one transaction of its own; its bytes stay in the table."""
    with connection.transaction():
        letter = repository.take_open(connection, dead_letter_id)
        if letter is None:
            return _not_open(dead_letter_id)
        repository.settle(connection, letter, Status.DROPPED, actor, {"because": because})
    return LetterResult(dead_letter_id, Outcome.DROPPED, "")


def _not_open(dead_letter_id: int) -> LetterResult:
    reason = "there is no such open letter, or another command has it in hand"
    return LetterResult(dead_letter_id, Outcome.NOT_OPEN, reason)
