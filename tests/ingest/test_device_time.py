"""Which device times count, in the decoders that fill the hypertable and in those that move live state."""

from datetime import UTC, date, datetime

import pytest

from ingest.device_time import ANY_STORABLE, DeviceTimes
from ingest.live.state import NewestState
from ingest.sink.batch_decoding import BatchFrameDecoder
from ingest.sink.decoding import FrameDecoder, PythonFrameDecoder
from telematics.clock import epoch_ms
from telematics.settings import Settings
from tests.ingest.making import (
    NOON_MS,
    make_frame,
    make_installation,
    make_message,
    make_record,
    make_registry,
)

HOUR_MS = 3_600_000
TIMES = DeviceTimes(epoch_ms(datetime(2010, 1, 1, tzinfo=UTC)), 24 * HOUR_MS)
ABSURD = {
    "no clock": epoch_ms(datetime(1970, 1, 1, tzinfo=UTC)),
    "week count lost": epoch_ms(datetime(2004, 5, 6, tzinfo=UTC)),
    "the end of 32 bits": epoch_ms(datetime(2038, 1, 19, 3, 14, 7, tzinfo=UTC)),
    "an hour more than a day ahead": NOON_MS + 25 * HOUR_MS,
}


@pytest.mark.parametrize(
    ("time_ms", "counts"),
    [
        (946_684_799_999, False),
        (946_684_800_000, True),
        (4_102_444_799_999, True),
        (4_102_444_800_000, False),
        (2**64 - 1, False),
    ],
)
def test_no_setting_goes_beyond_the_years_2000_to_2099(time_ms: int, counts: bool) -> None:
    assert ANY_STORABLE.accept(time_ms, NOON_MS) is counts


def test_the_limits_are_settings() -> None:
    settings = Settings(device_time_earliest=date(2015, 3, 1), device_time_ahead_h=2)
    times = DeviceTimes.of(settings)
    assert times.earliest_ms == epoch_ms(datetime(2015, 3, 1, tzinfo=UTC))
    assert times.accept(NOON_MS + 2 * HOUR_MS, NOON_MS)
    assert not times.accept(NOON_MS + 2 * HOUR_MS + 1, NOON_MS)
    assert times.words() == "before 2015-03-01 or more than 2 h ahead of their arrival"


@pytest.mark.parametrize("decoder", [PythonFrameDecoder(TIMES), BatchFrameDecoder(TIMES)])
@pytest.mark.parametrize("time_ms", ABSURD.values(), ids=ABSURD)
def test_a_record_with_an_absurd_clock_is_kept_as_a_dead_letter_and_its_neighbours_are_rows(
    decoder: FrameDecoder, time_ms: int
) -> None:
    message = make_message(
        make_frame(make_record(NOON_MS - 1000), make_record(time_ms), make_record(NOON_MS)),
        received_at_ms=NOON_MS,
    )
    batch = decoder.decode([message], make_registry(make_installation()), {})
    assert batch.row_count == 2
    assert set(batch.rows_by_day) == {NOON_MS // (24 * HOUR_MS)}, "no day, hence no chunk, of an absurd year"
    (reject,) = batch.rejects
    assert reject.reason == "time_out_of_range"
    assert reject.message == message.value()
    assert "records 1 lie before 2010-01-01 or more than 24 h ahead" in reject.detail


@pytest.mark.parametrize("decoder", [PythonFrameDecoder(TIMES), BatchFrameDecoder(TIMES)])
def test_the_last_moment_that_counts_counts_in_both_decoders(decoder: FrameDecoder) -> None:
    edges = [TIMES.earliest_ms, TIMES.earliest_ms - 1, NOON_MS + TIMES.ahead_ms, NOON_MS + TIMES.ahead_ms + 1]
    message = make_message(make_frame(*map(make_record, edges)), received_at_ms=NOON_MS)
    batch = decoder.decode([message], make_registry(make_installation()), {})
    assert batch.row_count == 2
    assert "records 1, 3 lie" in batch.rejects[0].detail


def test_an_old_clock_moves_no_live_state_even_of_a_vehicle_that_has_none() -> None:
    from ingest.frame_packet import unpack_avl
    from ingest.stream.messages import decode_frame

    frame = decode_frame(
        make_message(make_frame(make_record(ABSURD["week count lost"])), received_at_ms=NOON_MS)
    )
    state = NewestState(TIMES.earliest_ms)
    assert state.observe(frame, unpack_avl(frame), make_registry(make_installation())) == ()
    assert state.signals() == {}
    assert state.ignored_count == 1
