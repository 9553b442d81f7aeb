from confluent_kafka import OFFSET_BEGINNING

from ingest.live.offsets import LiveOffsets, Move
from ingest.stream.log_spans import LogSpan
from telematics.names import Topic
from tests.ingest.making import make_message

TOPIC = Topic.AVL_FRAMES.value
IDS = {TOPIC: "topic-1"}


def place(offsets: LiveOffsets) -> dict[int, int]:
    return {item.partition: item.offset for item in offsets.places()}


def assigned(stored: dict[bytes, bytes], *partitions: int) -> LiveOffsets:
    offsets = LiveOffsets()
    offsets.assign(stored, IDS, spans(*partitions))
    return offsets


def spans(*partitions: int, start: int = 0, end: int = 100) -> dict[tuple[str, int], LogSpan]:
    return {(TOPIC, number): LogSpan(start, end) for number in partitions}


def test_a_partition_begins_where_it_stands_or_at_its_beginning() -> None:
    stored = {
        f"{TOPIC}:0".encode(): b"topic-1|42",
        f"{TOPIC}:1".encode(): b"topic-0|42",
        f"{TOPIC}:2".encode(): b"topic-1|x",
    }
    assert place(assigned(stored, 0, 1, 2, 3)) == {
        0: 42,
        1: OFFSET_BEGINNING,
        2: OFFSET_BEGINNING,
        3: OFFSET_BEGINNING,
    }


def test_only_what_is_ours_and_new_is_taken() -> None:
    offsets = assigned({f"{TOPIC}:0".encode(): b"topic-1|5"}, 0)
    messages = [make_message(b"x", offset=offset) for offset in (4, 5, 6)]
    assert offsets.ours([*messages, make_message(b"x", partition=1)]) == messages[1:]


def test_a_step_names_what_has_to_stand_there_for_every_partition() -> None:
    offsets = assigned({f"{TOPIC}:1".encode(): b"topic-1|5"}, 0, 1)
    moves = offsets.moves([make_message(b"x", offset=7), make_message(b"x", offset=8)])
    assert moves == [
        Move(f"{TOPIC}:0".encode(), b"", b"topic-1|9"),
        Move(f"{TOPIC}:1".encode(), b"topic-1|5", b""),
    ]
    offsets.settle(moves)
    assert place(offsets) == {0: 9, 1: 5}


def test_what_was_revoked_is_forgotten_and_what_stays_is_set_to_what_stands() -> None:
    offsets = assigned({}, 0, 1)
    offsets.revoke([(TOPIC, 0)])
    offsets.reload({f"{TOPIC}:0".encode(): b"topic-1|1", f"{TOPIC}:1".encode(): b"topic-1|2"}, spans(0, 1))
    assert place(offsets) == {1: 2}


def test_a_log_that_ends_before_what_was_read_of_it_is_read_again_as_another_incarnation() -> None:
    stored = {f"{TOPIC}:0".encode(): b"topic-1|101", f"{TOPIC}:1".encode(): b"topic-1|100"}
    offsets = LiveOffsets()
    assert offsets.assign(stored, IDS, spans(0, 1)) == [(TOPIC, 0)]
    assert place(offsets) == {0: OFFSET_BEGINNING, 1: 100}
    assert offsets.incarnations == {(TOPIC, 0): "topic-1~1", (TOPIC, 1): "topic-1"}
    messages = [make_message(b"x", offset=offset) for offset in (0, 99)]
    assert offsets.ours(messages) == messages
    (move,) = [move for move in offsets.moves(messages) if move.written]
    assert move == Move(f"{TOPIC}:0".encode(), b"topic-1|101", b"topic-1~1|100")
    offsets.settle([move])
    assert place(offsets) == {0: 100, 1: 100}
    later = {move.field: move.written}
    assert assigned(later, 0).incarnations == {(TOPIC, 0): "topic-1~1"}
    again = LiveOffsets()
    assert again.assign(later, IDS, spans(0, end=99)) == [(TOPIC, 0)]
    assert again.incarnations == {(TOPIC, 0): "topic-1~2"}


def test_what_retention_took_away_is_not_waited_for() -> None:
    offsets = LiveOffsets()
    assert offsets.assign({f"{TOPIC}:0".encode(): b"topic-1|5"}, IDS, spans(0, start=7)) == []
    assert place(offsets) == {0: 7}
