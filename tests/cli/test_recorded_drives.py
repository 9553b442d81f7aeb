"""The comparison of the recorded cars with their recordings."""

from cli.recorded_drives import CarDrives, figures, table


def make_car(vehicle_id: int = 1, **overrides: float) -> CarDrives:
    values = {
        "recorded_km": 100.0, "warehouse_km": 100.0, "chosen_km": 100.0, "recorded_trips": 10,
        "warehouse_trips": 10, "overlaps": 0, "trips_by_silence": 12,
    }  # fmt: skip
    return CarDrives(vehicle_id=vehicle_id, **(values | overrides))  # type: ignore[arg-type]  # counts are whole


def test_cars_that_agree_are_off_by_nothing():
    assert set(figures([make_car(), make_car(2)]).values()) == {0.0}


def test_the_worst_car_does_not_hide_in_the_sum():
    found = figures(
        [make_car(warehouse_km=95.0, warehouse_trips=12, overlaps=1), make_car(2, warehouse_km=104.0)]
    )
    assert (found["distance_off_percent"], found["distance_off_percent_worst_car"]) == (-0.5, -5.0)
    assert (found["trips_off_percent"], found["trips_off_percent_worst_car"]) == (10.0, 20.0)
    assert found["overlapping_trips"] == 1


def test_a_car_that_never_arrived_is_off_by_everything():
    car = make_car(warehouse_km=0.0, chosen_km=0.0, warehouse_trips=0)
    assert figures([car])["chosen_distance_off_percent_worst_car"] == -100.0
    assert table([car]).row_count == 1
