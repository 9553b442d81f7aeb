"""Lineage of columns, from SQL as the models here are written."""

from pathlib import Path

import pytest

from orchestration.column_lineage import LineageStore, lineage_of
from orchestration.dbt_metadata import described

TABLES = {
    "telemetry": {"vin": "String", "time": "DateTime64(3, 'UTC')", "speed_mph": "Float32", "lat": "Float64"},
    "trips": {"vin": "String", "start_date": "Date", "distance_m": "Float64"},
}
MODEL = """
with __dbt__cte__stg_telemetry__records as (
    with source as (select * from `analytics`.`telemetry`),
    renamed as (select vin, toDate(time) as recorded_date, speed_mph from source where vin != '')
    select * from renamed
),
days as (
    select recorded_date as date, vin, maxIf(speed_mph, speed_mph > 0) as top_mph, count() as record_count
    from __dbt__cte__stg_telemetry__records group by date, vin
)
select days.date as date, days.vin as vin, top_mph, record_count, sum(trips.distance_m) as distance_m
from days left join `analytics`.`trips` as trips on days.vin = trips.vin and days.date = trips.start_date
group by all
"""


def test_columns_are_followed_through_steps_to_the_tables_they_come_from():
    assert lineage_of(MODEL, TABLES, "clickhouse") == {
        "date": [("telemetry", "time")],
        "vin": [("telemetry", "vin")],
        "top_mph": [("telemetry", "speed_mph")],
        "record_count": [],
        "distance_m": [("trips", "distance_m")],
    }


def test_the_other_engine_names_its_database_too():
    compiled = """
    select t."time" as bucket, avg(t.speed_mph) as avg_speed
    from "telemetry"."public"."telemetry" as t group by 1
    """
    assert lineage_of(compiled, TABLES, "postgres") == {
        "bucket": [("telemetry", "time")],
        "avg_speed": [("telemetry", "speed_mph")],
    }


def test_lineage_is_kept_until_the_sources_change(tmp_path: Path):
    path = tmp_path / "lineage.json"
    first = LineageStore(path, "digest of the sources")
    assert first.get("trips") is None
    first.put("trips", {"vin": [("telemetry", "vin")]})
    first.save()
    assert LineageStore(path, "digest of the sources").get("trips") == {"vin": [("telemetry", "vin")]}
    assert LineageStore(path, "another digest").get("trips") is None


@pytest.mark.parametrize(
    "content", ["", "[]", '{"digest": "d"}', '{"digest": "d", "models": {"a": {"b": [[]]}}}']
)
def test_a_file_that_nobody_can_read_is_as_good_as_none(tmp_path: Path, content: str):
    path = tmp_path / "lineage.json"
    path.write_text(content)
    assert LineageStore(path, "d").get("a") is None


def test_a_description_ends_with_what_the_column_is_made_from():
    assert described("UTC day.", [("trips", "date")]) == "UTC day. From trips.date."
    assert described(None, [("t", "a"), ("t", "b")]) == "From t.a, t.b."
    assert described("A count.", []) == "A count."
    assert described("", [("t", str(n)) for n in range(9)]).endswith("t.5 and 3 more.")
