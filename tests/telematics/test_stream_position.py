import pytest
from hypothesis import given
from hypothesis import strategies as st

from telematics.names import Topic
from telematics.stream_position import StreamPosition, pack, unpack

positions = st.builds(
    StreamPosition,
    st.sampled_from([Topic.AVL_FRAMES, Topic.READINGS]),
    st.integers(0, 511),
    st.integers(0, 2**44 - 1),
    st.integers(0, 255),
)


@given(positions)
def test_unpacking_gives_back_what_was_packed_in_63_bits(position: StreamPosition) -> None:
    packed = pack(*position)
    assert 0 <= packed < 2**63
    assert unpack(packed) == position


@given(positions, positions)
def test_positions_of_one_partition_order_as_the_stream_does(a: StreamPosition, b: StreamPosition) -> None:
    b = b._replace(topic=a.topic, partition=a.partition)
    assert (pack(*a) < pack(*b)) == ((a.offset, a.record_index) < (b.offset, b.record_index))


@pytest.mark.parametrize("parts", [(512, 0, 0), (0, 2**44, 0), (0, 0, 256), (-1, 0, 0)])
def test_a_part_out_of_range_is_refused(parts: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="out of range"):
        pack(Topic.AVL_FRAMES, *parts)


def test_a_topic_without_rows_has_no_positions() -> None:
    with pytest.raises(ValueError, match="carries no telemetry"):
        pack(Topic.ALERTS, 0, 0, 0)
