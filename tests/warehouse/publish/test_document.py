from datetime import date

from warehouse.publish import Driving, Odometer, build_summary

WEEK = Driving(date(2026, 1, 7), 16_093.44, 1_200.0, 3, 2, True, 9, 5)


def test_a_summary_has_the_agreed_shape() -> None:
    odometer = Odometer(45_632.1234, "gps_continuous", date(2026, 1, 6))
    assert build_summary("V", WEEK, odometer, maintenance={"m": 1}, health={"h": 2}) == {
        "vin": "V",
        "as_of": "2026-01-07",
        "odometer": {"miles": 45_632.123, "source": "gps_continuous", "date": "2026-01-06"},
        "driving": {
            "avg_speed_mph_7d": 30.0,
            "hard_brakes_7d": 3,
            "hard_accels_7d": 2,
            "distance_mi_7d": 10.0,
            "trips_7d": 9,
            "days_with_data_7d": 5,
        },
        "maintenance": {"m": 1},
        "health": {"h": 2},
    }


def test_what_is_not_known_is_null_not_zero() -> None:
    summary = build_summary("V", Driving(date(2026, 1, 7), 0.0, 0.0, 0, 0, False, 0, 1), None)
    assert (summary["odometer"], summary["maintenance"], summary["health"]) == (None, None, None)
    driving = summary["driving"]
    assert (driving["hard_brakes_7d"], driving["hard_accels_7d"], driving["avg_speed_mph_7d"]) == (
        None,
        None,
        None,
    )
    assert (driving["distance_mi_7d"], driving["trips_7d"]) == (0.0, 0)


def test_a_vehicle_that_only_a_model_knows_has_neither_week_nor_odometer() -> None:
    summary = build_summary("V", None, None, maintenance={"m": 1})
    assert (summary["as_of"], summary["odometer"], summary["driving"]) == (None, None, None)
    assert summary["maintenance"] == {"m": 1}
