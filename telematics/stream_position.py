"""Where in the stream a row came from, packed in one signed 64-bit integer.

Layout, high to low: sign 0 | topic 2 bits | partition 9 bits | offset 44 bits | record index 8 bits.
Within one partition positions grow with the stream, which makes them the base of resumable cursors.
Limits: 512 partitions a topic, 17.6 trillion messages a partition, 256 records a frame (Codec 8's count
is one byte, so at most 255 occur).
"""

from typing import NamedTuple

from telematics.names import Topic

_TOPIC_CODES = {Topic.AVL_FRAMES: 0, Topic.READINGS: 1}
_TOPICS = {code: topic for topic, code in _TOPIC_CODES.items()}

INDEX_BITS = 8
OFFSET_BITS = 44
PARTITION_BITS = 9


class StreamPosition(NamedTuple):
    """One record's place in the stream."""

    topic: Topic
    partition: int
    offset: int
    record_index: int


def pack(topic: Topic, partition: int, offset: int, index: int) -> int:
    """The position as one non-negative 63-bit integer.

    Raises:
        ValueError: a part is outside its range, or the topic carries no telemetry.
    """
    if topic not in _TOPIC_CODES:
        message = f"topic {topic} carries no telemetry rows"
        raise ValueError(message)
    if not (
        0 <= partition < 1 << PARTITION_BITS
        and 0 <= offset < 1 << OFFSET_BITS
        and 0 <= index < 1 << INDEX_BITS
    ):
        message = f"stream position out of range: partition {partition}, offset {offset}, index {index}"
        raise ValueError(message)
    head = _TOPIC_CODES[topic] << PARTITION_BITS | partition
    return (head << OFFSET_BITS | offset) << INDEX_BITS | index


def unpack(position: int) -> StreamPosition:
    """The parts of a packed position."""
    index = position & (1 << INDEX_BITS) - 1
    offset = position >> INDEX_BITS & (1 << OFFSET_BITS) - 1
    partition = position >> INDEX_BITS + OFFSET_BITS & (1 << PARTITION_BITS) - 1
    return StreamPosition(
        _TOPICS[position >> INDEX_BITS + OFFSET_BITS + PARTITION_BITS], partition, offset, index
    )
