import pytest

from ingest.reading_measurement import measure_reading
from ingest.stream.readings import decode_reading
from tests.ingest.making import make_reading_message

AT = "2025-03-14T12:00:00Z"


def measured(document: dict[str, object], key: bytes = b"001000000000017") -> dict[str, object]:
    return measure_reading(decode_reading(make_reading_message({"timestamp": AT, **document}, key=key)))


def test_fields_become_the_columns_of_the_hypertable():
    document = {
        "location": {"lat": 37.5, "lng": -122.4, "accuracy_m": 5},
        "speed_mph": 45,
        "battery_voltage": 12.4,
        "dtc_codes": ["P0300"],
        "ignition": True,
        "event_id": 239,
        "rpm": 1450,
    }
    assert measured(document) == {
        "event_id": 239,
        "is_valid": True,
        "speed_mph": 45.0,
        "rpm": 1450,
        "ignition": True,
        "battery_v": 12.4,
        "lat": 37.5,
        "lng": -122.4,
        "hdop": 1.0,
        "dtc_codes": ("P0300",),
    }


def test_without_a_location_there_is_no_fix():
    assert measured({}) == {"event_id": 0, "is_valid": False}


def test_a_location_without_satellites_keeps_its_coordinates():
    found = measured({"location": {"lat": 1, "lng": 2}, "satellites": 0})
    assert (found["lat"], found["lng"], found["is_valid"]) == (1.0, 2.0, False)


@pytest.mark.parametrize(
    ("source", "column"),
    [
        (None, "odometer_gnss_m"),
        ("gnss", "odometer_gnss_m"),
        ("can", "odometer_can_m"),
        ("obd", "odometer_obd_m"),
    ],
)
def test_a_devices_odometer_is_one_of_the_three_series(source, column):
    found = measured({"odometer": 1000, "odometer_source": source})
    assert found[column] == 1_609_344
    assert "odometer" not in found


def test_a_partners_odometer_is_its_own_word_and_in_no_series():
    found = measured({"odometer": 1000, "odometer_source": "obd"}, key=b"partner:pc_a")
    assert found == {
        "event_id": 0,
        "is_valid": False,
        "odometer": 1000.0,
        "odometer_source": "partner",
        "raw_data": '{"odometer_source": "obd"}',
    }
