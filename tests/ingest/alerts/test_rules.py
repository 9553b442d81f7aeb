"""A table per alert kind: records in, alerts out."""

import pytest

from ingest.alerts.alert import Finding, Kind
from ingest.alerts.facts import facts_of, readers_of
from ingest.alerts.rules import State, advance
from ingest.codec8.records import AvlRecord, IoElement
from ingest.measurement import element_columns, measure
from tests.ingest.making import NOON_MS, make_record

VIN, OTHER_VIN = "0VE00000000000017", "0VE00000000000018"
SECOND = 1000
MINUTE = 60 * SECOND

Told = tuple[int, str, str]
"""Seconds after noon, kind, code."""


def told(frames: list[list[AvlRecord]], family: str = "F", state: State | None = None) -> list[Told]:
    """What the frames of one device give rise to, in order."""
    state = state or {}
    columns, readers = element_columns(family), readers_of(family)
    answers: list[Told] = []
    for records in frames:
        facts = [facts_of(record, measure(record, columns), VIN, readers) for record in records]
        state, raised = advance(state, facts)
        answers += [
            ((records[item.number].timestamp_ms - NOON_MS) // SECOND, item.finding.kind, item.finding.code)
            for item in raised
        ]
    return answers


def at(second: int, *io: IoElement, event: int = 0) -> AvlRecord:
    return make_record(NOON_MS + second * SECOND, io, event_io_id=event)


def dtc(second: int, codes: str) -> AvlRecord:
    return at(second, IoElement(281, 0, codes.encode()))


def volts(second: int, millivolts: int) -> AvlRecord:
    return at(second, IoElement(66, 2, millivolts))


def km(second: int, kilometres: int, avl_id: int = 389) -> AvlRecord:
    return at(second, IoElement(avl_id, 4, kilometres))


def bus_vin(second: int, text: str, avl_id: int = 256) -> AvlRecord:
    return at(second, IoElement(avl_id, 0, text.encode()))


NO_CODES = IoElement(30, 1, 0)


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        pytest.param([dtc(0, "P0300")], [(0, "dtc_new", "P0300")], id="the first code ever is new"),
        pytest.param([dtc(0, "P0300"), dtc(1, "P0300")], [(0, "dtc_new", "P0300")], id="once"),
        pytest.param(
            [dtc(0, "P0300"), dtc(1, "P0171,P0300")],
            [(0, "dtc_new", "P0300"), (1, "dtc_new", "P0171")],
            id="one more",
        ),
        pytest.param(
            [dtc(0, "P0300,P0171"), dtc(1, "P0171")],
            [(0, "dtc_new", "P0171"), (0, "dtc_new", "P0300"), (1, "dtc_cleared", "P0300")],
            id="one cleared",
        ),
        pytest.param(
            [dtc(0, "P0300"), at(1, NO_CODES)],
            [(0, "dtc_new", "P0300"), (1, "dtc_cleared", "P0300")],
            id="a count of none clears all",
        ),
        pytest.param(
            [dtc(0, "P0300"), at(1, IoElement(30, 1, 2)), at(2)],
            [(0, "dtc_new", "P0300")],
            id="a count without codes and silence say nothing",
        ),
        pytest.param(
            [dtc(0, "P0300"), at(1, NO_CODES), dtc(2, "P0300")],
            [(0, "dtc_new", "P0300"), (1, "dtc_cleared", "P0300"), (2, "dtc_new", "P0300")],
            id="it comes back",
        ),
        pytest.param([at(0, NO_CODES)], [], id="no codes"),
    ],
)
def test_trouble_codes(records: list[AvlRecord], expected: list[Told]) -> None:
    assert told([[record] for record in records], "OBD") == expected
    assert told([records], "OBD") == expected
    assert told([records[::-1]], "OBD") == expected, "newest first in one frame"


def test_late_records_neither_raise_nor_clear_a_code() -> None:
    newest = [dtc(10, "P0300")]
    late = [[dtc(5, "P0171")], [at(6, NO_CODES)], [dtc(7, "P0420")], [dtc(10, "P0442")]]
    assert told([newest, *late, [dtc(11, "P0300")]], "OBD") == [(10, "dtc_new", "P0300")]


@pytest.mark.parametrize(
    ("value", "code"), [(1, "acceleration"), (2, "braking"), (3, "cornering"), (0, None), (9, None)]
)
def test_harsh_events(value: int, code: str | None) -> None:
    record = at(0, IoElement(253, 1, value), IoElement(254, 1, 45), event=253)
    assert told([[record]]) == ([] if code is None else [(0, "harsh_event", code)])


def test_a_harsh_event_tells_how_hard() -> None:
    columns, readers = element_columns("F"), readers_of("F")
    for kind, detail in ((2, {"value_raw": 45, "value_g": 0.45}), (3, {"value_raw": 45})):
        record = at(0, IoElement(253, 1, kind), IoElement(254, 1, 45))
        (event,) = facts_of(record, measure(record, columns), VIN, readers).events
        assert event.detail == detail


@pytest.mark.parametrize(("avl_id", "kind"), [(252, "unplug"), (246, "towing")])
def test_unplugging_and_towing(avl_id: int, kind: str) -> None:
    def level(second: int, value: int, event: int = 0) -> list[AvlRecord]:
        return [at(second, IoElement(avl_id, 1, value), event=event)]

    alert = kind, kind
    assert told([level(0, 1, avl_id)]) == [(0, *alert)], "the device says: now"
    assert told([level(0, 1)]) == [(0, *alert)], "it is on in a periodic record"
    assert told([level(0, 0), level(1, 1, avl_id), level(2, 1), level(3, 1)]) == [(1, *alert)], "once"
    assert told([level(0, 1), level(1, 0), level(2, 1)]) == [(0, *alert), (2, *alert)], "again"
    assert told([level(5, 1), level(4, 1)]) == [(5, *alert)], "a late level is no news"
    assert told([level(5, 0), level(4, 1, avl_id)]) == [(4, *alert)], "a late event is"
    assert told([level(0, 0, avl_id), level(1, 7)]) == []


@pytest.mark.parametrize(
    ("value", "is_crash"), [(1, True), (6, True), *((n, False) for n in (0, 2, 3, 4, 5))]
)
def test_crashes_but_not_their_traces(value: int, is_crash: bool) -> None:
    record = at(0, IoElement(247, 1, value), event=247)
    assert told([[record]]) == ([(0, "crash", str(value))] if is_crash else [])


def test_a_late_crash_is_heard_and_marked() -> None:
    crash = at(0, IoElement(247, 1, 1), event=247)
    state, _ = advance(
        {}, [facts_of(volts(9, 12_600), measure(volts(9, 12_600), element_columns("F")), VIN, {})]
    )
    _, (raised,) = advance(
        state, [facts_of(crash, measure(crash, element_columns("F")), VIN, readers_of("F"))]
    )
    assert raised.is_late
    assert raised.finding == Finding(Kind.CRASH, "1", {})


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        pytest.param([volts(0, 11_700), volts(60, 11_600)], [60], id="low for a minute"),
        pytest.param([volts(0, 11_700), volts(59, 11_600)], [], id="cranking"),
        pytest.param([volts(0, 11_700), volts(30, 12_600), volts(60, 11_700)], [], id="up in between"),
        pytest.param([volts(0, 11_700), volts(60, 11_700), volts(9999, 11_000)], [60], id="once"),
        pytest.param(
            [volts(0, 11_700), volts(60, 11_700), volts(90, 12_100), volts(100, 11_700), volts(200, 11_700)],
            [60],
            id="not again at the limit",
        ),
        pytest.param(
            [volts(0, 11_700), volts(60, 11_700), volts(90, 12_300), volts(100, 11_700), volts(200, 11_700)],
            [60, 200],
            id="again when charged in between",
        ),
        pytest.param([volts(0, 3_000), volts(100, 3_000)], [], id="no battery there"),
        pytest.param([volts(0, 24_300), volts(100, 24_200)], [], id="a 24 V system"),
    ],
)
def test_low_battery(records: list[AvlRecord], expected: list[int]) -> None:
    assert told([[record] for record in records]) == [(second, "low_battery", "12v") for second in expected]


@pytest.mark.parametrize(("avl_id", "family"), [(256, "OBD"), (325, "CAN")])
def test_vin_mismatch(avl_id: int, family: str) -> None:
    def frames(*texts: str) -> list[list[AvlRecord]]:
        return [[bus_vin(second, text, avl_id)] for second, text in enumerate(texts)]

    alert = "vin_mismatch", str(avl_id)
    assert told(frames(VIN, VIN.lower(), f"{VIN}\0"), family) == []
    assert told(frames(OTHER_VIN, OTHER_VIN), family) == [(0, *alert)], "once"
    assert told(frames(OTHER_VIN, VIN, OTHER_VIN), family) == [(0, *alert), (2, *alert)]


@pytest.mark.parametrize("read", [VIN.lower(), f"{VIN}\0\0", f"\0{VIN}", f"  {VIN} ", f"{VIN}\r\n"])
def test_the_registered_vin_is_known_in_any_dress(read: str) -> None:
    assert told([[bus_vin(0, read)]], "OBD") == []
    assert told([[bus_vin(0, read.upper().replace(VIN, OTHER_VIN))]], "OBD") == [(0, "vin_mismatch", "256")]


@pytest.mark.parametrize(
    "read",
    [
        "",
        "0VE0000",
        OTHER_VIN[:16],
        OTHER_VIN + "0",
        "0VE0I000000000018",
        "0VE0O000000000018",
        "0VE0Q000000000018",
        "0VE0\x00000000000018",
        "0VE0 000000000018",
        "0VE0-000000000018",
        "\0" * 17,
        "\xff" * 17,
        "０VE00000000000018",
    ],
)
def test_what_no_vin_looks_like_is_a_misreading_and_raises_nothing(read: str) -> None:
    assert told([[bus_vin(0, read)]], "OBD") == []


def vin_parts(second: int, text: bytes, *ids: int) -> AvlRecord:
    widths = {233: (0, 8), 234: (8, 8), 235: (16, 1)}
    return at(
        second,
        *(
            IoElement(part, width, int.from_bytes(text[start : start + width]))
            for part in ids or widths
            for start, width in [widths[part]]
        ),
    )


def test_a_vin_in_three_parts_is_read_as_one() -> None:
    other, alert = OTHER_VIN.encode(), ("vin_mismatch", "233")
    assert told([[vin_parts(0, VIN.encode())], [vin_parts(1, VIN.lower().encode())]], "6xx") == []
    assert told([[vin_parts(0, other)], [vin_parts(1, other)]], "6xx") == [(0, *alert)], "once"
    assert told([[vin_parts(0, other, 235, 233, 234)]], "6xx") == [(0, *alert)], "in any order"
    assert told([[vin_parts(0, other)]], "CAN") == [], "compressed gas there"


@pytest.mark.parametrize(
    "text", [b"\0" * 17, b"0VE00000\0\0\0\0\0\0\0\0\0", b"0VE0I000000000018", b"\xff" * 17]
)
def test_three_parts_that_make_no_vin_raise_nothing(text: bytes) -> None:
    assert told([[vin_parts(0, text)]], "6xx") == []


def test_parts_of_several_records_are_never_put_together() -> None:
    other = OTHER_VIN.encode()
    assert told([[vin_parts(0, other, 233, 234), vin_parts(1, other, 235)]], "6xx") == []


@pytest.mark.parametrize(
    ("avl_id", "per_unit_m", "source", "family"),
    [(389, 1000, "obd", "OBD"), (87, 1, "can", "CAN"), (16, 1, "gnss", "F")],
)
def test_odometer_backwards(avl_id: int, per_unit_m: int, source: str, family: str) -> None:
    def frames(*metres: int) -> list[list[AvlRecord]]:
        return [[km(second, value // per_unit_m, avl_id)] for second, value in enumerate(metres)]

    alert = "odometer_backwards", source
    assert told(frames(100_000, 100_000, 101_000), family) == []
    assert told(frames(100_000, 90_000, 91_000), family) == [(1, *alert)], (
        "once, then it counts on from there"
    )
    assert told([*frames(100000)[:1], [km(-5, 1, avl_id)]], family) == [], "late"
    if per_unit_m == 1:
        assert told(frames(100_000, 99_900), family) == [], "the metres that a restart loses"


def test_what_an_id_means_is_the_familys_own() -> None:
    record = at(0, IoElement(252, 1, 1), IoElement(251, 1, 1), event=252)
    assert told([[record]], "6xx") == [], "authorized driving and immobilizer"
    assert told([[at(0, IoElement(252, 2, 1))]]) == [], "another width"
