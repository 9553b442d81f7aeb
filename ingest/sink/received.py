"""From when to when the messages of a batch reached us, in milliseconds since the epoch."""

from typing import NamedTuple, Self


class ReceivedSpan(NamedTuple):
    """When the oldest and the newest of some messages came in."""

    oldest_ms: int
    newest_ms: int

    @classmethod
    def of(cls, received_at_ms: int) -> Self:
        """The span of one message."""
        return cls(received_at_ms, received_at_ms)


def widened(span: ReceivedSpan | None, other: ReceivedSpan | None) -> ReceivedSpan | None:
    """The span that holds both; None is the span of no message."""
    if span is None or other is None:
        return span or other
    return ReceivedSpan(min(span.oldest_ms, other.oldest_ms), max(span.newest_ms, other.newest_ms))
