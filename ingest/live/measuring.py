"""What the records of a batch say to live state and alerts, in compiled code.

The same as `ingest.measurement.measure` and `ingest.alerts.facts.facts_of`, for the few columns that are
looked at here. A record that holds something out of the ordinary is marked `is_rare` (the reference measures
all records of its vehicle) or `is_alarming` (the reference judges those of its device in the vehicle).
"""

from typing import Any, Final

import numba
import numpy as np

from ingest.alerts.facts import CRASHES, HARSH_CODES
from ingest.alerts.packed import FIRST_LEVEL, FIRST_ODOMETER, FIRST_VIN, PLACES, VIN_LENGTH
from ingest.alerts.packed_rules import (
    BATTERY,
    DTC_NONE,
    DTC_NOT_TOLD,
    IS_PADDING,
    OBSERVED,
    PART_NUMBERS,
    VIN_IN_PARTS,
)
from ingest.alerts.rules import PRESENT_V, VOLTAGE
from ingest.batch.compiling import Bytes, array, compile_kernel, inlined
from ingest.batch.layout import ELEMENT, RECORD, Column, Elements, Records
from ingest.live.element_parts import PART, REALS, Part
from ingest.live.state import MAX_AHEAD_MS, SIGNALS
from ingest.measurement import (
    MAX_LATITUDE_RAW,
    MAX_LONGITUDE_RAW,
    ODOMETER_COLUMNS,
)
from ingest.sink.element_rules import RULE
from ingest.sink.placing import DEVICE, INSTALLATION, NOT_INSTALLED, is_error_code, value_number
from ingest.sink.trouble_codes import NOT_PLAIN, count_codes

_REAL, _METRES, _IGNITION, _HARSH = int(Part.REAL), int(Part.METRES), int(Part.IGNITION), int(Part.HARSH)
_DTC_COUNT, _DTC_LIST, _LEVEL = int(Part.DTC_COUNT), int(Part.DTC_LIST), int(Part.LEVEL)
_CRASH, _VIN, _VIN_PART = int(Part.CRASH), int(Part.VIN), int(Part.VIN_PART)
_ALARM, _RARE = int(Part.ALARM), int(Part.RARE)
_ALL_PARTS: Final = 0b111

_1: Final = np.uint64(1)
_VIN_LENGTH: Final = np.uint64(VIN_LENGTH)
_ASCII: Final = 0x80
_VOLTAGE: Final = PLACES[VOLTAGE]
_FUEL: Final = REALS.index("fuel_pct")
_ODOMETER_COUNT: Final = len(ODOMETER_COLUMNS)
_IS_CRASH: Final = np.array([value in CRASHES for value in range(256)])
_IS_HARSH: Final = np.array([value in HARSH_CODES for value in range(256)])
_BYTE: Final = np.uint64(0xFF)
WHOLE_SHIFT: Final = 4

_SEEN, _POSITION, _SPEED = 1 << SIGNALS["seen"], 1 << SIGNALS["position"], 1 << SIGNALS["speed_mph"]
_ODOMETER, _BATTERY_VOLTAGE = 1 << SIGNALS["odometer"], 1 << SIGNALS["battery_voltage"]
_FUEL_PCT, _DTC_CODES, _IGNITION_ON = (1 << SIGNALS[name] for name in ("fuel_pct", "dtc_codes", "ignition"))


@inlined
def _installation_at(device: Any, installations: Column, time_ms: Any) -> Any:
    """The installation that holds at a moment, or NOT_INSTALLED."""
    for number in range(device.installation_end - 1, device.installation_start - 1, -1):
        installation = installations[number]
        if installation.start_ms <= time_ms:
            return number if time_ms < installation.end_ms else NOT_INSTALLED
    return NOT_INSTALLED


@inlined
def _vin_start(data: Bytes, start: Any, end: Any) -> tuple[Any, Any]:
    """Whether a text may be a VIN, without what it is padded with: 17 characters, where they start.

    The second answer is whether the text is not ASCII, where capitals may be more letters than there were.
    """
    is_plain = True
    for place in range(start, end):
        is_plain = is_plain and data[np.uint64(place)] < _ASCII
    while end > start and IS_PADDING[data[end - _1]]:
        end -= _1
    while start < end and IS_PADDING[data[start]]:
        start += _1
    return (np.int64(start) if end - start == _VIN_LENGTH else np.int64(-1)), is_plain


def measure_records(
    data: Bytes,
    records: Records,
    elements: Elements,
    frame_devices: Column,
    received_at_ms: Column,
    devices: Column,
    installations: Column,
    vehicle_numbers: Column,
    subject_numbers: Column,
    lookup: Column,
    parts: Column,
    rules: Column,
    sentinels: Column,
    vehicle_places: Column,
    subject_places: Column,
    vehicles: Column,
    subjects: Column,
    facts: Column,
    numbers: Column,
    reals: Column,
    earliest_ms: Any,
) -> Any:
    """Measure records.

    Args:
        data: all frames end to end.
        records: entries of `layout.RECORD`.
        elements: entries of `layout.ELEMENT`.
        frame_devices: number of each frame's device.
        received_at_ms: of each frame.
        devices: entries of `placing.DEVICE`.
        installations: entries of `placing.INSTALLATION`.
        vehicle_numbers: vehicle of each installation.
        subject_numbers: subject of each installation.
        lookup: see `ElementParts`, as the next.
        parts: entries of `PART`.
        rules: entries of `element_rules.RULE`.
        sentinels: error codes of all rules.
        vehicle_places: [vehicle], all -1; filled with its place in the batch.
        subject_places: [subject], all -1; filled with its place in the batch.
        vehicles: filled with the numbers of the batch's vehicles.
        subjects: filled with the numbers of the batch's subjects.
        facts: filled with entries of `packed_rules.OBSERVED`.
        numbers: filled, see there.
        reals: filled, see there.
        earliest_ms: records from before it do not count.

    Returns:
        How many records were left out, how many vehicles there are, and how many subjects.
    """
    ignored, vehicle_count, subject_count = 0, 0, 0
    for number in range(records.size):
        record, fact = records[number], facts[number]
        fact.vehicle = fact.subject = -1
        time_ms = record.timestamp_ms
        device = devices[frame_devices[record.frame]]
        latest = np.uint64(received_at_ms[record.frame] + MAX_AHEAD_MS)
        installed: Any = NOT_INSTALLED
        if time_ms >= earliest_ms and time_ms <= latest:
            installed = _installation_at(device, installations, np.int64(time_ms))
        if installed < 0:
            ignored += 1
            continue
        vehicle, subject = vehicle_numbers[installed], subject_numbers[installed]
        if vehicle_places[vehicle] < 0:
            vehicle_places[vehicle] = vehicle_count
            vehicles[vehicle_count] = vehicle
            vehicle_count += 1
        if subject_places[subject] < 0:
            subject_places[subject] = subject_count
            subjects[subject_count] = subject
            subject_count += 1
        fact.vehicle, fact.subject = vehicle_places[vehicle], subject_places[subject]

        observed: Any
        has: Any
        ignition: Any
        vin_parts: Any
        observed, has, ignition, vin_parts = 0, 0, -1, 0
        dtc_list: Any
        dtc_count, dtc_list, code_count = np.int64(-1), -1, 0
        is_alarming, is_rare = False, False
        for place in range(record.element_start, record.element_end):
            element = elements[place]
            known = parts[lookup[device.family, element.id, element.width]]
            part, slot, raw = known.part, np.int64(known.slot), element.raw
            if part == 0:
                continue
            if part == _REAL:
                rule = rules[known.rule]
                value = value_number(rule, raw)
                if has >> slot & 1 == 0 and not is_error_code(rule, sentinels, value):
                    reals[number, slot] = value * rule.numerator / rule.denominator
                    has |= 1 << slot
                    if rule.denominator == 1:
                        has |= 1 << (slot + WHOLE_SHIFT)
            elif part == _METRES:
                rule = rules[known.rule]
                value = value_number(rule, raw)
                bit = FIRST_ODOMETER + slot
                if observed >> bit & 1 == 0 and not is_error_code(rule, sentinels, value):
                    numbers[number, bit] = value * rule.numerator
                    observed |= 1 << bit
            elif part == _IGNITION:
                if ignition < 0 and raw <= _1:
                    ignition = np.int64(raw)
            elif part == _DTC_COUNT:
                if dtc_count < 0:
                    dtc_count = np.int64(raw)
            elif part == _DTC_LIST:
                if dtc_list < 0:
                    code_count = count_codes(data, raw, raw + np.uint64(element.length))
                    is_rare = is_rare or code_count == NOT_PLAIN
                    dtc_list = place
            elif part == _LEVEL:
                bit = FIRST_LEVEL + slot
                if raw <= _1:
                    is_event = raw == _1 and record.event_io_id == element.id
                    is_alarming = is_alarming or is_event or observed >> bit & 1 == 1
                    numbers[number, bit] = np.int64(raw)
                    observed |= 1 << bit
            elif part == _HARSH:
                is_alarming = is_alarming or raw > _BYTE or _IS_HARSH[raw & _BYTE]
            elif part == _CRASH:
                is_alarming = is_alarming or raw > _BYTE or _IS_CRASH[raw & _BYTE]
            elif part == _VIN:
                start, is_plain = _vin_start(data, raw, raw + np.uint64(element.length))
                bit = FIRST_VIN + slot
                is_alarming = is_alarming or not is_plain
                if start >= 0:
                    is_alarming = is_alarming or observed >> bit & 1 == 1
                    numbers[number, bit] = start
                    observed |= 1 << bit
            elif part == _VIN_PART:
                is_alarming = is_alarming or vin_parts >> slot & 1 == 1
                numbers[number, PART_NUMBERS + slot] = np.int64(raw)
                vin_parts |= 1 << slot
            elif part == _ALARM:
                is_alarming = True
            else:
                is_rare = True
        if vin_parts == _ALL_PARTS:
            observed |= 1 << VIN_IN_PARTS
        if has >> BATTERY & 1 and reals[number, BATTERY] >= PRESENT_V:
            observed |= 1 << _VOLTAGE

        # as `measurement` settles it: a count of 0 and no list: none; a count and an empty list: not known
        fact.dtc = DTC_NOT_TOLD
        if dtc_list >= 0:
            if dtc_count <= 0 or code_count != 0:
                fact.dtc = dtc_list
        elif dtc_count == 0:
            fact.dtc = DTC_NONE

        source = installations[installed].source
        if source >= 0:
            if observed >> (FIRST_ODOMETER + source) & 1 == 0:
                source = -1
        else:
            for candidate in range(_ODOMETER_COUNT):
                if source < 0 and observed >> (FIRST_ODOMETER + candidate) & 1:
                    source = candidate
        tells = _SEEN
        latitude, longitude = record.latitude_raw, record.longitude_raw
        if (
            record.satellites > 0
            and -MAX_LATITUDE_RAW <= latitude <= MAX_LATITUDE_RAW
            and -MAX_LONGITUDE_RAW <= longitude <= MAX_LONGITUDE_RAW
        ):
            tells |= _POSITION | _SPEED
        if source >= 0:
            tells |= _ODOMETER
        if has >> BATTERY & 1:
            tells |= _BATTERY_VOLTAGE
        if has >> _FUEL & 1:
            tells |= _FUEL_PCT
        if fact.dtc != DTC_NOT_TOLD:
            tells |= _DTC_CODES
        if ignition >= 0:
            tells |= _IGNITION_ON
        fact.observed, fact.tells, fact.reals = observed, tells, has
        fact.source, fact.ignition = source, ignition
        fact.is_alarming, fact.is_rare = is_alarming, is_rare
    return ignored, vehicle_count, subject_count


def find_newest(records: Records, facts: Column, newest: Column, oldest_ms: Column, is_rare: Column) -> Any:
    """The newest record of each vehicle for each signal; of two of one moment the first.

    Args:
        records: entries of `layout.RECORD`.
        facts: as `measure_records` filled them.
        newest: [vehicle of the batch, signal], all -1; filled with numbers of records.
        oldest_ms: [vehicle]; filled with the oldest time of its newest records.
        is_rare: [vehicle], all false; set where the reference has to measure its records.

    Returns:
        0.
    """
    for number in range(records.size):
        fact = facts[number]
        if fact.vehicle < 0:
            continue
        is_rare[fact.vehicle] = is_rare[fact.vehicle] or fact.is_rare
        for signal in range(newest.shape[1]):
            if fact.tells >> signal & 1:
                before = newest[fact.vehicle, signal]
                if before < 0 or records[number].timestamp_ms > records[before].timestamp_ms:
                    newest[fact.vehicle, signal] = number
    for vehicle in range(newest.shape[0]):
        oldest = np.int64(0)
        for signal in range(newest.shape[1]):
            number = newest[vehicle, signal]
            if number >= 0:
                time_ms = np.int64(records[number].timestamp_ms)
                if oldest == 0 or time_ms < oldest:
                    oldest = time_ms
        oldest_ms[vehicle] = oldest
    return 0


def compile_measuring() -> tuple[Any, Any]:
    """`measure_records` and `find_newest` as machine code."""
    longs, places, flags = array(np.int64), array(np.int32), array(np.bool_)
    table = array(np.int64, 2)
    tuple_of: Any = numba.types.UniTuple
    measure = compile_kernel(
        measure_records,
        (
            array(np.uint8, is_readonly=True),
            array(RECORD),
            array(ELEMENT),
            places,
            longs,
            array(DEVICE),
            array(INSTALLATION),
            places,
            places,
            array(np.uint8, 3),
            array(PART),
            array(RULE),
            longs,
            places,
            places,
            longs,
            longs,
            array(OBSERVED),
            table,
            array(np.float64, 2),
            numba.uint64,
        ),
        tuple_of(numba.int64, 3),
    )
    newest = compile_kernel(
        find_newest, (array(RECORD), array(OBSERVED), array(np.int32, 2), longs, flags), numba.int64
    )
    return measure, newest
