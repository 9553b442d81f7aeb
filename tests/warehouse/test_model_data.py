"""What needs no store: vehicles without features. What is read is compared with the mart in
tests/orchestration/test_models_on_servers.py, where a fleet's features are built."""

from datetime import date

import pandas as pd

from warehouse.model_data import with_all_vehicles

AS_OF = date(2026, 1, 5)


def make_rows(*vins: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "vin": pd.Series(list(vins), dtype=str),
            "component": "battery",
            "as_of": pd.Timestamp(AS_OF).as_unit("s"),
            "origin": "simulated",
            "newest_known_at": pd.Timestamp("2026-01-05T06:00Z").as_unit("ms"),
            "crank_min_v_28d": 9.5,
        }
    )


def make_vehicles(**origins: str) -> pd.DataFrame:
    return pd.DataFrame({"vin": list(origins), "origin": list(origins.values())})


def test_a_vehicle_without_features_gets_a_row_of_its_own_origin_and_day():
    frame = with_all_vehicles(
        make_rows("B"), make_vehicles(A="recorded", B="simulated", C="live"), AS_OF, "battery"
    )
    assert frame["vin"].tolist() == ["A", "B", "C"]
    assert frame["origin"].tolist() == ["recorded", "simulated", "live"]
    assert frame["as_of"].dt.date.tolist() == [AS_OF] * 3
    assert frame["crank_min_v_28d"].isna().tolist() == [True, False, True]
    assert frame["newest_known_at"].isna().tolist() == [True, False, True]


def test_a_row_without_features_changes_no_type():
    rows = make_rows("B")
    frame = with_all_vehicles(rows, make_vehicles(A="recorded"), AS_OF, "battery")
    assert frame.dtypes.to_dict() == rows.dtypes.to_dict()


def test_a_fleet_with_features_is_left_alone():
    rows = make_rows("A", "B")
    pd.testing.assert_frame_equal(
        with_all_vehicles(rows, make_vehicles(A="simulated", B="simulated"), AS_OF, "battery"), rows
    )


def test_before_the_first_features_every_vehicle_is_without():
    frame = with_all_vehicles(make_rows(), make_vehicles(A="live"), AS_OF, "battery")
    assert frame["vin"].tolist() == ["A"]
