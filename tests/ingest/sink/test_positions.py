import pytest

from ingest.sink.errors import StreamGapError, StreamMismatchError
from ingest.sink.positions import Positions, check_identity
from ingest.sink.store import StoredOffset
from ingest.stream.identity import StreamIdentity
from telematics.names import Topic
from tests.ingest.making import FakeMessage, make_message

TOPIC = str(Topic.AVL_FRAMES)
IDENTITY = StreamIdentity("cluster-1", {TOPIC: "topic-1"})
PARTITION = (TOPIC, 0)


def stored(next_offset: int, cluster_id: str = "cluster-1", topic_id: str = "topic-1") -> StoredOffset:
    return StoredOffset(cluster_id, topic_id, next_offset)


def at(*offsets: int, partition: int = 0) -> list[FakeMessage]:
    return [make_message(b"x", offset=offset, partition=partition) for offset in offsets]


def standing_at(next_offset: int | None) -> Positions:
    positions = Positions()
    positions.assign({} if next_offset is None else {PARTITION: stored(next_offset)}, [PARTITION])
    return positions


def test_messages_that_are_stored_already_are_passed_over() -> None:
    assert standing_at(5).pending(at(3, 4, 5, 6)) == at(5, 6)


def test_a_batch_that_is_stored_altogether_leaves_nothing() -> None:
    assert standing_at(9).pending(at(3, 4, 5)) == []


def test_messages_of_partitions_that_are_not_ours_are_passed_over() -> None:
    assert standing_at(0).pending(at(0, partition=1)) == []


@pytest.mark.parametrize("offsets", [(6,), (5, 7), (4, 6)])
def test_a_hole_is_never_skipped(offsets: tuple[int, ...]) -> None:
    with pytest.raises(StreamGapError, match="next_offset"):
        standing_at(5).pending(at(*offsets))


def test_a_partition_without_a_stored_offset_begins_where_kafka_does() -> None:
    positions = standing_at(None)
    assert positions.next_offset(PARTITION) is None
    assert positions.pending(at(17, 18)) == at(17, 18)


def test_moves_lead_from_what_was_stored_to_behind_the_last_message() -> None:
    positions = standing_at(5)
    (move,) = positions.moves(at(5, 6), IDENTITY)
    assert (move.expected, move.next_offset, move.cluster_id, move.topic_id) == (5, 7, "cluster-1", "topic-1")
    positions.settle([move])
    assert positions.next_offset(PARTITION) == 7


def test_a_reload_follows_the_database() -> None:
    positions = standing_at(5)
    positions.reload({PARTITION: stored(8)})
    assert positions.next_offset(PARTITION) == 8


@pytest.mark.parametrize(
    ("offset", "what"),
    [
        (stored(5, cluster_id="cluster-0"), "another cluster"),
        (stored(5, topic_id="topic-0"), "another topic"),
    ],
)
def test_offsets_of_another_cluster_or_topic_are_refused_with_the_remedy(
    offset: StoredOffset, what: str
) -> None:
    with pytest.raises(StreamMismatchError, match=what) as refused:
        check_identity("g", {PARTITION: offset}, IDENTITY, [PARTITION])
    assert "delete from stream_offsets where consumer_group = 'g'" in str(refused.value)


def test_offsets_of_this_cluster_and_topic_are_accepted() -> None:
    check_identity("g", {PARTITION: stored(5)}, IDENTITY, [PARTITION, (TOPIC, 1)])
