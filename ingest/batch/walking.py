"""The checks of a frame and the walk over its records, for compiled code.

The same checks in the same order as `ingest.codec8.frames.open_frame` and `ingest.codec8.decoding`, with the
reasons beside them there. A frame is walked to its end before anything of it counts: what it wrote behind the
cursors is overwritten by the next frame unless all its checks passed.

One thing is simpler than in the reference and comes to the same: there a read may touch number of data 2 or
leave the data field, and the record is found not to fit at its end; here it is found at that read.
"""

from typing import Any, Final

import numpy as np

from ingest.batch.compiling import Bytes, array, compile_kernel, inlined
from ingest.batch.layout import LENGTH_SHIFT, RECORD, WIDTH_SHIFT, Column, Kind, Records, Status
from ingest.batch.wire import crc16, u8, u16, u32, u64
from ingest.codec8.frames import (
    FRAME_OVERHEAD,
    HEADER_LENGTH,
    MIN_DATA_LENGTH,
    UDP_HEADER_LENGTH,
    UDP_LENGTH_FIELD,
    UDP_MARK,
    UDP_MARK_OFFSET,
)
from ingest.codec8.records import COMMAND_CODECS, CodecId
from telematics.imei import IMEI_LENGTH

_0, _1, _2, _3, _4, _6, _8 = map(np.uint64, (0, 1, 2, 3, 4, 6, 8))
_WIDTH_SHIFT, _LENGTH_SHIFT = np.uint64(WIDTH_SHIFT), np.uint64(LENGTH_SHIFT)
_CODEC_8: Final = np.uint64(CodecId.CODEC_8)
_CODEC_8_EXTENDED: Final = np.uint64(CodecId.CODEC_8_EXTENDED)
_CODEC_16: Final = np.uint64(CodecId.CODEC_16)
_IS_COMMAND: Final = np.array([byte in COMMAND_CODECS for byte in range(256)])

_HEADER: Final = np.uint64(HEADER_LENGTH)
_OVERHEAD: Final = np.uint64(FRAME_OVERHEAD)
_MIN_DATA: Final = np.uint64(MIN_DATA_LENGTH)
_UDP_LENGTH_FIELD: Final = np.uint64(UDP_LENGTH_FIELD)
_UDP_MARK_OFFSET: Final = np.uint64(UDP_MARK_OFFSET)
_UDP_MARK: Final = np.uint64(UDP_MARK)
_UDP_HEADER: Final = np.uint64(UDP_HEADER_LENGTH)
_IMEI_LENGTH: Final = np.uint64(IMEI_LENGTH)
_IMEI_LENGTH_OFFSET: Final = _6
_DIGIT_0, _DIGIT_9 = np.uint64(ord("0")), np.uint64(ord("9"))

_DECODED, _TRUNCATED, _BAD_PREAMBLE = int(Status.DECODED), int(Status.TRUNCATED), int(Status.BAD_PREAMBLE)
_BAD_LENGTH, _BAD_CRC, _UNKNOWN_CODEC = int(Status.BAD_LENGTH), int(Status.BAD_CRC), int(Status.UNKNOWN_CODEC)
_COUNT_MISMATCH, _IO_MISMATCH = int(Status.COUNT_MISMATCH), int(Status.IO_MISMATCH)
_TRAILING_BYTES, _UNDECIDED = int(Status.TRAILING_BYTES), int(Status.UNDECIDED)
_UDP: Final = int(Kind.UDP)

GPS_LENGTH: Final = 24
"""Timestamp, priority and GPS element, in every codec."""
MIN_RECORD_LENGTH: Final = 30
"""Codec 8 without elements; the others take more."""
MIN_ELEMENT_LENGTH: Final = 2
"""Codec 8, one byte wide."""
_GPS: Final = np.uint64(GPS_LENGTH)
_DOES_NOT_FIT: Final = _0
"""What a walk returns instead of an offset: no record ends at byte 0."""


@inlined
def _walk_group(
    data: Bytes,
    at: Any,
    limit: Any,
    words: Column,
    first: Any,
    width: Any,
    has_long_ids: Any,
    is_wide: Any,
) -> tuple[Any, Any]:
    """One group of elements of a fixed width: where it ends, and how many elements it has."""
    count_size = _2 if is_wide else _1
    if at + count_size > limit:
        return _DOES_NOT_FIT, _0
    count = u16(data, at) if is_wide else u8(data, at)
    at += count_size
    id_size = _2 if has_long_ids else _1
    if at + count * (id_size + width) > limit:
        return _DOES_NOT_FIT, _0
    end = at + count * (id_size + width)
    tag = width << _WIDTH_SHIFT
    place = first * _2
    while at < end:
        words[place + _1] = tag | (u16(data, at) if has_long_ids else u8(data, at))
        at += id_size
        if width == _1:
            words[place] = u8(data, at)
        elif width == _2:
            words[place] = u16(data, at)
        elif width == _4:
            words[place] = u32(data, at)
        else:
            words[place] = u64(data, at)
        at += width
        place += _2
    return at, count


@inlined
def _walk_variable(data: Bytes, at: Any, limit: Any, words: Column, first: Any) -> tuple[Any, Any]:
    """The group of elements of variable length; a length of 0 does occur."""
    if at + _2 > limit:
        return _DOES_NOT_FIT, _0
    count = u16(data, at)
    at += _2
    for number in range(count):
        if at + _4 > limit:
            return _DOES_NOT_FIT, _0
        length = u16(data, at + _2)
        place = (first + np.uint64(number)) * _2
        words[place] = at + _4
        words[place + _1] = u16(data, at) | length << _LENGTH_SHIFT
        at += _4 + length
        if at > limit:
            return _DOES_NOT_FIT, _0
    return at, count


@inlined
def _walk_record(
    data: Bytes,
    start: Any,
    limit: Any,
    records: Records,
    place: Any,
    words: Column,
    first: Any,
    has_long_ids: Any,
    is_wide: Any,
    has_generation_type: Any,
) -> tuple[Any, Any, Any]:
    """One record: where it ends, how many elements it has, and whether that is what it announces."""
    head = _GPS
    head += _2 if has_long_ids else _1
    if has_generation_type:
        head += _1
    total_at = start + head
    at = total_at + (_2 if is_wide else _1)
    if at > limit:
        return _DOES_NOT_FIT, _0, True
    record = records[place]
    record.timestamp_ms = u64(data, start)
    record.priority = u8(data, start + _8)
    record.longitude_raw = np.int32(np.uint32(u32(data, start + np.uint64(9))))
    record.latitude_raw = np.int32(np.uint32(u32(data, start + np.uint64(13))))
    record.altitude_m = np.int16(np.uint16(u16(data, start + np.uint64(17))))
    record.angle_deg = u16(data, start + np.uint64(19))
    record.satellites = u8(data, start + np.uint64(21))
    record.speed_kph = u16(data, start + np.uint64(22))
    record.event_io_id = u16(data, start + _GPS) if has_long_ids else u8(data, start + _GPS)
    record.generation_type = np.int16(u8(data, total_at - _1)) if has_generation_type else np.int16(-1)
    total = u16(data, total_at) if is_wide else u8(data, total_at)
    found = _0
    at, count = _walk_group(data, at, limit, words, first, _1, has_long_ids, is_wide)
    found += count
    if at != _DOES_NOT_FIT:
        at, count = _walk_group(data, at, limit, words, first + found, _2, has_long_ids, is_wide)
        found += count
    if at != _DOES_NOT_FIT:
        at, count = _walk_group(data, at, limit, words, first + found, _4, has_long_ids, is_wide)
        found += count
    if at != _DOES_NOT_FIT:
        at, count = _walk_group(data, at, limit, words, first + found, _8, has_long_ids, is_wide)
        found += count
    if is_wide and at != _DOES_NOT_FIT:
        at, count = _walk_variable(data, at, limit, words, first + found)
        found += count
    record.body_start = start
    record.body_end = at
    record.element_start = first
    record.element_end = first + found
    return at, found, found == total


@inlined
def _walk_data(
    data: Bytes,
    start: Any,
    end: Any,
    frame: Any,
    records: Records,
    record_cursor: Any,
    words: Column,
    element_cursor: Any,
) -> tuple[Any, Any]:
    """The data field from `start` to `end`: its status and where its elements end."""
    codec = u8(data, start)
    if codec != _CODEC_8 and codec != _CODEC_8_EXTENDED and codec != _CODEC_16:
        return (_UNDECIDED if _IS_COMMAND[codec] else _UNKNOWN_CODEC), element_cursor
    limit = end - _1
    number_1, number_2 = u8(data, start + _1), u8(data, limit)
    at = start + _2
    is_consistent, is_complete = True, True
    for index in range(number_1):
        place = record_cursor + np.uint64(index)
        if codec == _CODEC_8:
            at, found, is_right = _walk_record(
                data, at, limit, records, place, words, element_cursor, False, False, False
            )
        elif codec == _CODEC_8_EXTENDED:
            at, found, is_right = _walk_record(
                data, at, limit, records, place, words, element_cursor, True, True, False
            )
        else:
            at, found, is_right = _walk_record(
                data, at, limit, records, place, words, element_cursor, True, False, True
            )
        if at == _DOES_NOT_FIT:
            is_complete = False
            break
        is_consistent = is_consistent and is_right
        records[place].frame = frame
        records[place].index = index
        element_cursor += found
    is_hollow = number_1 == _0 and end - start > _MIN_DATA and number_2 != _0
    is_counted = number_1 == number_2 or (is_complete and number_1 == u8(data, at))
    if is_hollow or not is_counted:
        return _COUNT_MISMATCH, element_cursor
    if not (is_complete and is_consistent):
        return _IO_MISMATCH, element_cursor
    if at != limit:
        return _TRAILING_BYTES, element_cursor
    return _DECODED, element_cursor


@inlined
def _walk_tcp(
    data: Bytes,
    start: Any,
    end: Any,
    longest: Any,
    frame: Any,
    records: Records,
    record_cursor: Any,
    words: Column,
    element_cursor: Any,
) -> tuple[Any, Any, Any]:
    """A TCP frame: status, number of records, and where its elements end."""
    size = end - start
    if size < _OVERHEAD:
        return _TRUNCATED, _0, element_cursor
    length = u32(data, start + _4)
    if size < length + _OVERHEAD:
        return _TRUNCATED, _0, element_cursor
    if u32(data, start) != _0:
        return _BAD_PREAMBLE, _0, element_cursor
    if length < _MIN_DATA or length > longest:
        return _BAD_LENGTH, _0, element_cursor
    data_start = start + _HEADER
    data_end = data_start + length
    if u32(data, data_end) != crc16(data, data_start, data_end):
        return (_BAD_LENGTH if size > length + _OVERHEAD else _BAD_CRC), _0, element_cursor
    status, element_end = _walk_data(
        data, data_start, data_end, frame, records, record_cursor, words, element_cursor
    )
    if status == _DECODED and size > length + _OVERHEAD:
        status = _TRAILING_BYTES
    return status, u8(data, data_start + _1), element_end


@inlined
def _is_faultless_datagram(data: Bytes, start: Any, end: Any) -> Any:
    """Whether the header is as it should be and nothing lies behind the declared end."""
    size = end - start
    if size < _UDP_HEADER + _IMEI_LENGTH + _MIN_DATA or size != u16(data, start) + _UDP_LENGTH_FIELD:
        return False
    if u8(data, start + _UDP_MARK_OFFSET) != _UDP_MARK:
        return False
    if u16(data, start + _IMEI_LENGTH_OFFSET) != _IMEI_LENGTH:
        return False
    for place in range(_UDP_HEADER, _UDP_HEADER + _IMEI_LENGTH):
        digit = u8(data, start + np.uint64(place))
        if digit < _DIGIT_0 or digit > _DIGIT_9:
            return False
    return True


def walk_frames(
    data: Bytes,
    bounds: Column,
    kinds: Column,
    longest: int,
    records: Records,
    words: Column,
    statuses: Column,
    record_bounds: Column,
) -> Any:
    """Decode frames that lie end to end.

    Args:
        data: the frames.
        bounds: where each frame starts, and where the last one ends.
        kinds: `Kind` of each frame.
        longest: longest data field accepted on TCP, in bytes.
        records: room for all records, one of which takes `MIN_RECORD_LENGTH` bytes at least.
        words: room for all elements (`layout.ELEMENT`, two words each), one of which takes
            `MIN_ELEMENT_LENGTH` bytes at least.
        statuses: filled with the `Status` of each frame.
        record_bounds: filled with where the records of each frame start, and where those of the last end.

    Returns:
        Elements in use.
    """
    record_cursor, element_cursor = np.uint64(0), np.uint64(0)
    for frame in range(statuses.size):
        start, end = np.uint64(bounds[frame]), np.uint64(bounds[frame + 1])
        if kinds[frame] != _UDP:
            status, count, element_end = _walk_tcp(
                data, start, end, np.uint64(longest), frame, records, record_cursor, words, element_cursor
            )
        else:
            status, count, element_end = _UNDECIDED, _0, element_cursor
            if _is_faultless_datagram(data, start, end):
                data_start = start + _UDP_HEADER + _IMEI_LENGTH
                walked, element_end = _walk_data(
                    data, data_start, end, frame, records, record_cursor, words, element_cursor
                )
                if walked == _DECODED:
                    status, count = walked, u8(data, data_start + _1)
        record_bounds[frame] = record_cursor
        statuses[frame] = status
        if status == _DECODED:
            record_cursor += count
            element_cursor = element_end
    record_bounds[statuses.size] = record_cursor
    return np.int64(element_cursor)


def compile_walk() -> Any:
    """`walk_frames` as machine code."""
    import numba

    arguments = (
        array(np.uint8, is_readonly=True),
        array(np.int64),
        array(np.uint8),
        numba.int64,
        array(RECORD),
        array(np.uint64),
        array(np.uint8),
        array(np.int64),
    )
    return compile_kernel(walk_frames, arguments, numba.int64)
