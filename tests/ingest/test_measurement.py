import json

import pytest

from ingest.codec8.records import IoElement
from ingest.measurement import Measurement, accuracy_m, element_columns, measure
from tests.ingest.making import make_record


def measured(*io: IoElement, family: str = "F", **head: int) -> Measurement:
    return measure(make_record(io=io, **head), element_columns(family))


def raw_of(row: Measurement) -> dict[str, object]:
    return dict(json.loads(str(row.get("raw_data", "{}"))))


@pytest.mark.parametrize(
    ("element", "column", "value"),
    [
        (IoElement(66, 2, 12_400), "battery_v", 12.4),
        (IoElement(239, 1, 1), "ignition", True),
        (IoElement(240, 1, 0), "movement", False),
        (IoElement(36, 2, 2150), "rpm", 2150),
        (IoElement(32, 1, 0xF6), "coolant_c", -10),
        (IoElement(31, 1, 44), "engine_load_pct", 44),
        (IoElement(40, 2, 1234), "maf_gps", 12.34),
        (IoElement(53, 1, 0xFF), "ambient_c", -1),
        (IoElement(33, 1, 0x9C), "fuel_trim_pct", -100),
        (IoElement(57, 1, 61), "hv_soc_pct", 61),
        (IoElement(48, 1, 70), "fuel_pct", 70),
        (IoElement(89, 1, 71), "fuel_pct", 71),
        (IoElement(182, 2, 12), "hdop", 1.2),
        (IoElement(16, 4, 123_456), "odometer_gnss_m", 123_456),
        (IoElement(87, 4, 4_294_967_295), "odometer_can_m", 4_294_967_295),
        (IoElement(389, 4, 45_000), "odometer_obd_m", 45_000_000),
        (IoElement(253, 1, 2), "harsh_kind", 2),
        (IoElement(254, 1, 35), "harsh_value", 35),
    ],
)
def test_each_element_fills_its_column(element: IoElement, column: str, value: object) -> None:
    row = measured(element)
    assert row[column] == value
    assert type(row[column]) is type(value)
    assert "raw_data" not in row


def test_head_is_converted_to_the_blueprints_units() -> None:
    row = measured(speed_kph=100, altitude_m=-6, angle_deg=271, event_io_id=239, priority=1)
    assert row["speed_mph"] == pytest.approx(62.137119)
    assert row["altitude_ft"] == pytest.approx(-19.685039)
    assert (row["lat"], row["lng"]) == (42.28, -83.7)
    assert (row["heading"], row["event_id"], row["priority"], row["satellites"]) == (271, 239, 1, 9)


def test_what_has_no_column_stands_in_the_order_in_which_postgresql_keeps_keys() -> None:
    row = measured(
        IoElement(10800, 2, 7), IoElement(30, 1, 2), IoElement(9, 2, 1), IoElement(700, 0, b"\x0a"),
        family="OBD", latitude_raw=-900_000_001, angle_deg=361,
    )  # fmt: skip
    assert row["raw_data"] == (
        '{"9":1,"30":2,"700":"0a","10800":7,"angle":361,"latitude":-900000001,"longitude":-837000000}'
    )


def test_what_was_not_sent_is_absent() -> None:
    assert set(measured()) == {
        "event_id", "priority", "satellites", "speed_mph", "altitude_ft", "lat", "lng", "is_valid", "heading",
    }  # fmt: skip


def test_without_satellites_the_position_is_kept_and_marked() -> None:
    row = measured(satellites=0)
    assert row["is_valid"] is False
    assert row["lat"] == 42.28


def test_coordinates_off_the_globe_are_no_position() -> None:
    row = measured(latitude_raw=900_000_001)
    assert "lat" not in row
    assert "lng" not in row
    assert row["is_valid"] is False
    assert raw_of(row) == {"latitude": 900_000_001, "longitude": -837_000_000}


def test_an_angle_beyond_the_circle_is_no_heading() -> None:
    row = measured(angle_deg=65_535)
    assert "heading" not in row
    assert raw_of(row) == {"angle": 65_535}


def test_elements_without_a_column_keep_their_raw_value() -> None:
    row = measured(
        IoElement(250, 1, 1),
        IoElement(78, 8, 2**64 - 1),
        IoElement(256, 0, b"1HG\x00\xff"),
        IoElement(9999, 0, b""),
    )
    assert raw_of(row) == {"250": 1, "78": 2**64 - 1, "256": "31484700ff", "9999": ""}


def test_an_element_of_unexpected_width_is_not_guessed() -> None:
    row = measured(IoElement(66, 4, 12_400), IoElement(36, 4, 9))
    assert "battery_v" not in row
    assert "rpm" not in row
    assert raw_of(row) == {"66": 12_400, "36": 9}


def test_a_6xx_device_means_other_things_by_the_same_ids() -> None:
    row = measured(
        IoElement(36, 4, 1000),
        IoElement(87, 4, 55),
        IoElement(66, 2, 24_000),
        IoElement(30, 1, 0),
        family="6xx",
    )
    assert row["battery_v"] == 24.0
    assert raw_of(row) == {"36": 1000, "87": 55, "30": 0}
    assert not {"rpm", "odometer_can_m", "odometer_gnss_m", "dtc_codes"} & set(row)


def test_without_a_known_family_every_element_stays_raw() -> None:
    row = measure(make_record(io=(IoElement(66, 2, 12_400),)), element_columns(None))
    assert raw_of(row) == {"66": 12_400}


def test_a_second_value_for_a_column_is_kept_raw() -> None:
    row = measured(IoElement(48, 1, 70), IoElement(89, 1, 71))
    assert row["fuel_pct"] == 70
    assert raw_of(row) == {"89": 71}


def test_an_ignition_that_is_neither_on_nor_off_is_kept_raw() -> None:
    row = measured(IoElement(239, 1, 2))
    assert "ignition" not in row
    assert raw_of(row) == {"239": 2}


class TestTroubleCodes:
    def test_the_list_is_split_at_commas(self) -> None:
        row = measured(IoElement(30, 1, 2), IoElement(281, 0, b"P0300,p0420"))
        assert row["dtc_codes"] == ("P0300", "P0420")
        assert raw_of(row) == {"30": 2}

    def test_a_count_of_zero_says_that_there_are_none(self) -> None:
        row = measured(IoElement(30, 1, 0))
        assert row["dtc_codes"] == ()
        assert "raw_data" not in row

    def test_a_count_without_a_list_says_nothing_about_which(self) -> None:
        row = measured(IoElement(30, 1, 3))
        assert "dtc_codes" not in row
        assert raw_of(row) == {"30": 3}

    def test_an_empty_list_does_not_outweigh_a_count(self) -> None:
        assert "dtc_codes" not in measured(IoElement(30, 1, 3), IoElement(281, 0, b""))

    def test_an_empty_list_says_that_there_are_none(self) -> None:
        assert measured(IoElement(281, 0, b""))["dtc_codes"] == ()

    def test_codes_win_over_a_count_of_zero(self) -> None:
        assert measured(IoElement(30, 1, 0), IoElement(281, 0, b"P0300"))["dtc_codes"] == ("P0300",)

    @pytest.mark.parametrize(
        "text", [b"P03\x0000", b"\xff\xfe", b"P0300;drop", "P0300,é".encode(), b"A" * 40]
    )
    def test_a_text_that_is_no_list_of_codes_is_kept_raw(self, text: bytes) -> None:
        row = measured(IoElement(281, 0, text))
        assert "dtc_codes" not in row
        assert raw_of(row) == {"281": text.hex()}


def test_accuracy_is_hdop_times_five_metres() -> None:
    assert accuracy_m(1.3) == 6.5
