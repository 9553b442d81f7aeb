"""Records as rows of COPY BINARY, in compiled code: the bytes that `CopyEncoder` makes of `build_row`.

STRATEGY: per record, the elements fill slots of the fixed-size columns, or are noted as having none; then the
row is written in one go. Those without a column are kept sorted by id, the order of keys in `raw_data`. Rows
out of the ordinary are left out and reported, for the reference to build: elements whose rule says so,
trouble-code texts that are no plain list, and an id that comes twice in what goes to `raw_data`.
"""

from struct import Struct
from typing import Any, Final

import numba
import numpy as np

from ingest.batch.compiling import Bytes, array, compile_kernel, inlined
from ingest.batch.layout import ELEMENT, RECORD, Column, Elements, Records
from ingest.codec8.records import DEGREES_PER_UNIT
from ingest.measurement import DTC_COUNT_ID, FULL_CIRCLE_DEG, MAX_LATITUDE_RAW, MAX_LONGITUDE_RAW
from ingest.sink.columns import COLUMNS, FIXED_COLUMNS, POSTGRES_EPOCH_MS
from ingest.sink.element_rules import RULE, Kind
from ingest.sink.placing import (
    DEVICE,
    FRAME,
    INSTALLATION,
    ODOMETER_PLACES,
    SOURCES,
    is_error_code,
    value_number,
)
from ingest.sink.putting import put16, put32, put_decimal, put_hex, put_signed_decimal, put_sized, put_text
from ingest.sink.trouble_codes import NOT_PLAIN, count_codes, put_code_array
from telematics.units import METRES_PER_FOOT, METRES_PER_MILE

COLUMN_COUNT: Final = len(FIXED_COLUMNS)
_FIELD_COUNT: Final = np.uint64(len(COLUMNS))
_SIZES: Final = np.array([Struct(f">{column.code}").size for column in FIXED_COLUMNS], np.uint64)
_PLACES: Final = {column.name: place for place, column in enumerate(FIXED_COLUMNS)}
_TIME, _DEVICE_ID, _VIN = _PLACES["time"], _PLACES["device_id"], _PLACES["vin"]
_LAT, _LNG, _SPEED, _HEADING = _PLACES["lat"], _PLACES["lng"], _PLACES["speed_mph"], _PLACES["heading"]
_ALTITUDE, _ODOMETER, _EVENT_ID = _PLACES["altitude_ft"], _PLACES["odometer"], _PLACES["event_id"]
_PRIORITY, _SATELLITES, _IS_VALID = _PLACES["priority"], _PLACES["satellites"], _PLACES["is_valid"]
_RECEIVED_AT, _CONTENT_HASH = _PLACES["received_at"], _PLACES["content_hash"]
_STREAM_POSITION: Final = _PLACES["stream_position"]
_LONGEST_SLOT: Final = np.uint64(8)

_SOURCE_TEXTS: Final = np.array([list(source.value.encode().ljust(8)) for source in SOURCES], np.uint8)
_SOURCE_SIZES: Final = np.array([len(source.value) for source in SOURCES], np.uint64)

_0, _1, _4 = np.uint64(0), np.uint64(1), np.uint64(4)
_NULL: Final = np.uint64(0xFFFFFFFF)
_JSONB_VERSION: Final = np.uint8(1)
_QUOTE, _OPEN, _CLOSE, _COLON, _COMMA = (np.uint8(ord(character)) for character in '"{}:,')
_LATITUDE, _LONGITUDE, _ANGLE = (
    np.frombuffer(f'"{name}":'.encode(), np.uint8) for name in ("latitude", "longitude", "angle")
)

_INTEGER, _REAL, _FLAG = int(Kind.INTEGER), int(Kind.REAL), int(Kind.FLAG)
_DTC_COUNT, _DTC_LIST, _REFERENCE = int(Kind.DTC_COUNT), int(Kind.DTC_LIST), int(Kind.REFERENCE)

# Sizes at most: a row without what varies; an element as JSON (`"65535":18446744073709551615,`); a byte of
# a variable-length value, as hexadecimal digits or as a code of one letter with its length.
ROW_BYTES: Final = 640
ELEMENT_BYTES: Final = 32
DATA_BYTES: Final = 5


@inlined
def _put_separator(out: Bytes, at: Any, is_first: Any) -> Any:
    if is_first:
        return at
    out[at] = _COMMA
    return at + _1


@inlined
def _put_id(out: Bytes, at: Any, avl_id: Any) -> Any:
    out[at] = _QUOTE
    at = put_decimal(out, at + _1, np.uint64(avl_id))
    out[at] = _QUOTE
    out[at + _1] = _COLON
    return at + np.uint64(2)


@inlined
def _add_unfit(unfit: Column, count: Any, elements: Elements, place: Any) -> Any:
    """Put an element where its id belongs; devices send ids nearly in order, so few have to move."""
    slot, avl_id = count, elements[place].id
    while slot > 0 and elements[unfit[slot - 1]].id > avl_id:
        unfit[slot] = unfit[slot - 1]
        slot -= 1
    unfit[slot] = place
    return count + 1


@inlined
def _put_raw_data(
    out: Bytes,
    at: Any,
    data: Bytes,
    record: Any,
    elements: Elements,
    unfit: Column,
    unfit_count: Any,
    is_off_globe: Any,
    has_odd_angle: Any,
) -> Any:
    """What has no column, as the JSON text that the reference writes."""
    out[at] = _OPEN
    at += _1
    is_first = True
    for number in range(unfit_count):
        element = elements[unfit[number]]
        at = _put_id(out, _put_separator(out, at, is_first), element.id)
        if element.width != 0:
            at = put_decimal(out, at, element.raw)
        else:
            out[at] = _QUOTE
            at = put_hex(out, at + _1, data, element.raw, element.length)
            out[at] = _QUOTE
            at += _1
        is_first = False
    if has_odd_angle:
        at = _put_separator(out, at, is_first)
        at = put_decimal(out, put_text(out, at, _ANGLE), np.uint64(record.angle_deg))
        is_first = False
    if is_off_globe:
        at = _put_separator(out, at, is_first)
        at = put_signed_decimal(out, put_text(out, at, _LATITUDE), np.int64(record.latitude_raw))
        at = _put_separator(out, at, False)
        at = put_signed_decimal(out, put_text(out, at, _LONGITUDE), np.int64(record.longitude_raw))
    out[at] = _CLOSE
    return at + _1


@inlined
def _single(value: Any, single: Column, single_bits: Column) -> Any:
    single[0] = np.float32(value)
    return np.uint64(single_bits[0])


@inlined
def _double(value: Any, double: Column, double_bits: Column) -> Any:
    double[0] = value
    return double_bits[0]


def write_rows(
    data: Bytes,
    records: Records,
    elements: Elements,
    frames: Column,
    devices: Column,
    imeis: Bytes,
    installations: Column,
    vins: Bytes,
    hashes: Column,
    placements: Column,
    lookup: Column,
    rules: Column,
    sentinels: Column,
    slots: Column,
    present: Column,
    double: Column,
    double_bits: Column,
    single: Column,
    single_bits: Column,
    stamps: Column,
    unfit: Column,
    out: Bytes,
    rare: Column,
    rare_at: Column,
) -> Any:
    """Write the rows of a batch.

    Args:
        data: all frames end to end.
        records: entries of `layout.RECORD`.
        elements: entries of `layout.ELEMENT`.
        frames: entries of `placing.FRAME`.
        devices: entries of `placing.DEVICE`.
        imeis: [device, 15] digits.
        installations: entries of `placing.INSTALLATION`, all with the source that counts, if one is known.
        vins: [installation, 17] characters.
        hashes: as `place_records` filled it.
        placements: as `place_records` filled it.
        lookup: see `ElementRules`, as the two that follow.
        rules: entries of `RULE`.
        sentinels: error codes.
        slots: see `scratch.Scratch`, as the six that follow.
        present: which slots hold a value.
        double: one cell.
        double_bits: the same cell as an integer.
        single: one cell.
        single_bits: the same cell as an integer.
        stamps: [AVL id], all smaller than 1 when the call begins.
        unfit: room for the elements of the longest record.
        out: room for all rows.
        rare: filled with the numbers of the records that the reference has to build.
        rare_at: filled with the places in `out` where their rows belong.

    Returns:
        Bytes in use, and how many records the reference has to build.
    """
    at, rare_count = _0, 0
    for number in range(records.size):
        placement = placements[number]
        if placement < -1:
            continue
        record = records[number]
        frame = frames[record.frame]
        device = devices[frame.device]
        present[:] = False
        latitude, longitude = record.latitude_raw, record.longitude_raw
        is_on_globe = (
            -MAX_LATITUDE_RAW <= latitude <= MAX_LATITUDE_RAW
            and -MAX_LONGITUDE_RAW <= longitude <= MAX_LONGITUDE_RAW
        )
        slots[_TIME] = np.uint64((np.int64(record.timestamp_ms) - POSTGRES_EPOCH_MS) * 1000)
        slots[_SPEED] = _single(np.int64(record.speed_kph) * 1000 / METRES_PER_MILE, single, single_bits)
        slots[_ALTITUDE] = _single(record.altitude_m / METRES_PER_FOOT, single, single_bits)
        slots[_EVENT_ID] = np.uint64(record.event_io_id)
        slots[_PRIORITY] = np.uint64(record.priority)
        slots[_SATELLITES] = np.uint64(record.satellites)
        slots[_IS_VALID] = np.uint64(record.satellites > 0 and is_on_globe)
        slots[_RECEIVED_AT] = np.uint64(frame.received_at)
        slots[_CONTENT_HASH] = np.uint64(hashes[number])
        slots[_STREAM_POSITION] = np.uint64(frame.first_position + record.index)
        present[_TIME] = present[_DEVICE_ID] = present[_SPEED] = present[_ALTITUDE] = True
        present[_EVENT_ID] = present[_PRIORITY] = present[_SATELLITES] = present[_IS_VALID] = True
        present[_RECEIVED_AT] = present[_CONTENT_HASH] = present[_STREAM_POSITION] = True
        present[_VIN] = placement >= 0
        if is_on_globe:
            slots[_LAT] = _double(latitude / DEGREES_PER_UNIT, double, double_bits)
            slots[_LNG] = _double(longitude / DEGREES_PER_UNIT, double, double_bits)
            present[_LAT] = present[_LNG] = True
        has_odd_angle = record.angle_deg > FULL_CIRCLE_DEG
        if not has_odd_angle:
            slots[_HEADING] = np.uint64(record.angle_deg)
            present[_HEADING] = True

        unfit_count, dtc_count, dtc_place, is_rare = 0, np.int64(-1), 0, False
        dtc_list, code_count = -1, 0
        stamp = number + 1
        for place in range(record.element_start, record.element_end):
            element = elements[place]
            raw = element.raw
            rule_number = lookup[device.family, element.id, element.width]
            if rule_number != 0:
                rule = rules[rule_number]
                kind, column = rule.kind, rule.column
                if kind <= _FLAG:
                    if not present[column]:
                        value = value_number(rule, raw)
                        if kind == _FLAG:
                            if raw <= _1:
                                slots[column] = raw
                                present[column] = True
                                continue
                        elif not is_error_code(rule, sentinels, value):
                            if kind == _INTEGER:
                                slots[column] = np.uint64(value * rule.numerator)
                            elif rule.is_double:
                                slots[column] = _double(
                                    value * rule.numerator / rule.denominator, double, double_bits
                                )
                            else:
                                slots[column] = _single(
                                    value * rule.numerator / rule.denominator, single, single_bits
                                )
                            present[column] = True
                            continue
                elif kind == _DTC_COUNT:
                    if dtc_count < 0:
                        dtc_count, dtc_place = np.int64(raw), place
                        continue
                elif kind == _REFERENCE:
                    is_rare = True
                elif dtc_list < 0:
                    code_count = count_codes(data, raw, raw + np.uint64(element.length))
                    is_rare = is_rare or code_count == NOT_PLAIN
                    dtc_list = place
                    continue
            is_rare = is_rare or stamps[element.id] == stamp
            stamps[element.id] = stamp
            unfit_count = _add_unfit(unfit, unfit_count, elements, place)
        if dtc_count > 0:
            is_rare = is_rare or stamps[DTC_COUNT_ID] == stamp
            unfit_count = _add_unfit(unfit, unfit_count, elements, dtc_place)
        if is_rare:
            rare[rare_count] = number
            rare_at[rare_count] = np.int64(at)
            rare_count += 1
            continue

        source = installations[placement].source if placement >= 0 else -1
        if source >= 0:
            metres = ODOMETER_PLACES[source]
            if present[metres]:
                miles = np.int64(slots[metres]) / METRES_PER_MILE
                slots[_ODOMETER] = _double(miles, double, double_bits)
                present[_ODOMETER] = True
            else:
                source = -1

        at = put16(out, at, _FIELD_COUNT)
        for column in range(COLUMN_COUNT):
            if not present[column]:
                at = put32(out, at, _NULL)
                continue
            size = _SIZES[column]
            at = put32(out, at, size)
            if size <= _LONGEST_SLOT:
                at = put_sized(out, at, slots[column], size)
            elif column == _DEVICE_ID:
                at = put_text(out, at, imeis[frame.device])
            else:
                at = put_text(out, at, vins[placement])
        if source >= 0:
            at = put32(out, at, _SOURCE_SIZES[source])
            for letter in range(_SOURCE_SIZES[source]):
                out[at] = _SOURCE_TEXTS[source, letter]
                at += _1
        else:
            at = put32(out, at, _NULL)
        # a count of 0 and no list: none; a count and an empty list contradict each other: not known
        if (dtc_list >= 0 and not (dtc_count > 0 and code_count == 0)) or (dtc_list < 0 and dtc_count == 0):
            start, length = _0, _0
            if dtc_list >= 0:
                start, length = elements[dtc_list].raw, np.uint64(elements[dtc_list].length)
            end = put_code_array(out, at + _4, data, start, start + length, code_count)
            put32(out, at, end - at - _4)
            at = end
        else:
            at = put32(out, at, _NULL)
        if unfit_count > 0 or not is_on_globe or has_odd_angle:
            out[at + _4] = _JSONB_VERSION
            end = _put_raw_data(
                out,
                at + _4 + _1,
                data,
                record,
                elements,
                unfit,
                unfit_count,
                not is_on_globe,
                has_odd_angle,
            )
            put32(out, at, end - at - _4)
            at = end
        else:
            at = put32(out, at, _NULL)
    return np.int64(at), np.int64(rare_count)


def compile_row_writing() -> Any:
    """`write_rows` as machine code."""
    numbers, flags = array(np.int64), array(np.bool_)
    arguments = (
        array(np.uint8, is_readonly=True),
        array(RECORD),
        array(ELEMENT),
        array(FRAME),
        array(DEVICE),
        array(np.uint8, 2),
        array(INSTALLATION),
        array(np.uint8, 2),
        numbers,
        array(np.int32),
        array(np.uint8, 3),
        array(RULE),
        numbers,
        array(np.uint64),
        flags,
        array(np.float64),
        array(np.uint64),
        array(np.float32),
        array(np.uint32),
        array(np.int32),
        numbers,
        array(np.uint8),
        numbers,
        numbers,
    )
    pair: Any = numba.types.Tuple
    return compile_kernel(write_rows, arguments, pair((numba.int64, numba.int64)))
