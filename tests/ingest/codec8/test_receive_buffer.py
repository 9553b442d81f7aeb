import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.codec8.receive_buffer import ReceiveBuffer


@given(st.lists(st.binary(max_size=8), max_size=20), st.data())
def test_bytes_leave_in_the_order_in_which_they_came(chunks, data):
    buffer, seen = ReceiveBuffer(), b""
    for chunk in chunks:
        buffer.append(chunk)
        count = data.draw(st.integers(0, len(buffer)))
        seen += bytes(buffer.head[:count])
        buffer.consume(count)
    assert seen + bytes(buffer.head) == b"".join(chunks)


@pytest.mark.parametrize("count", [-1, 4])
def test_no_more_can_be_consumed_than_is_there(count):
    buffer = ReceiveBuffer()
    buffer.append(b"abc")
    with pytest.raises(ValueError, match="of 3 bytes"):
        buffer.consume(count)


def test_a_run_is_skipped_and_what_follows_stays():
    buffer = ReceiveBuffer()
    buffer.append(b"\xff\xff\x00\xff")
    assert buffer.skip(0xFF) == 2
    assert buffer.skip(0xFF) == 0
    assert bytes(buffer.head) == b"\x00\xff"
    buffer.clear()
    assert len(buffer) == 0
