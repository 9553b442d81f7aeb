from typing import Any

import pytest

from serving.scopes import Scope
from serving.time_range import TimeRange
from serving.vehicles.telemetry.asked import Asked
from serving.vehicles.telemetry.fields import FIELDS, UnknownFieldsError, chosen_fields, columns_of, fields_at
from serving.vehicles.telemetry.records import record_builder, withheld_fields
from serving.vehicles.telemetry.schemas import BucketMetricRead, BucketRead, RecordMetricRead, RecordRead
from serving.vehicles.units import Units
from tests.serving.posting import NOW
from tests.serving.world import World, as_bucket, make_record
from warehouse import history
from warehouse.history import Resolution

COLUMNS = columns_of(FIELDS, Resolution.RAW)
BASE = [Scope.TELEMETRY_READ]


def asked(
    units: Units = Units.IMPERIAL, resolution: Resolution = Resolution.RAW, names: list[str] | None = None
) -> Asked:
    return Asked(TimeRange(NOW, NOW), units, resolution, chosen_fields(names, units, resolution))


async def build(
    world: World, row: dict[str, Any], *scopes: Scope, units: Units = Units.IMPERIAL
) -> dict[str, Any]:
    return record_builder(await world.access(*scopes), asked(units))(row)


async def test_a_record_reads_as_the_device_measured(world: World) -> None:
    assert await build(world, make_record()) == {
        "time": "2026-02-01T08:30:00.000Z",
        "received_at": "2026-02-01T08:30:01.000Z",
        "location": {"lat": 42.2808256, "lng": -83.7430378, "accuracy_m": 4.0},
        "speed_mph": 45.36,
        "heading": 214,
        "altitude_ft": 853.0,
        "odometer": 45632.117,
        "odometer_source": "gnss",
        "fuel_pct": 62.0,
        "battery_voltage": 12.4,
        "dtc_codes": ["P0300"],
        "ignition": True,
        "movement": True,
        "rpm": 1450,
        "coolant_c": 88,
        "engine_load_pct": 31,
        "ambient_c": 12,
        "hv_soc_pct": None,
        "satellites": 11,
        "event_id": 0,
    }


async def test_metric_gives_back_what_the_wire_said(world: World) -> None:
    record = await build(world, make_record(), units=Units.METRIC)
    assert (record["speed_kph"], record["altitude_m"]) == (73.0, 260.0)
    assert record["odometer_km"] == pytest.approx(73437.77, abs=0.01)
    assert {"speed_mph", "altitude_ft", "odometer"}.isdisjoint(record)


@pytest.mark.parametrize(("units", "model"), [(Units.IMPERIAL, RecordRead), (Units.METRIC, RecordMetricRead)])
async def test_records_and_the_documented_model_have_the_same_fields(
    units: Units, model: type[RecordRead | RecordMetricRead], world: World
) -> None:
    record = await build(world, make_record(), units=units)
    assert set(record) == set(model.model_fields)
    model.model_validate(record, strict=False)
    model.model_validate(await build(world, dict.fromkeys(COLUMNS) | bare(), units=units))


def bare() -> dict[str, Any]:
    row = make_record()
    return {name: row[name] for name in ("time", "received_at", "event_id")}


@pytest.mark.parametrize(("units", "model"), [(Units.IMPERIAL, BucketRead), (Units.METRIC, BucketMetricRead)])
async def test_buckets_and_the_documented_model_have_the_same_fields(
    units: Units, model: type[BucketRead | BucketMetricRead], world: World
) -> None:
    bucket = record_builder(await world.access(), asked(units, Resolution.HOUR))(as_bucket(make_record()))
    assert set(bucket) == set(model.model_fields)
    model.model_validate(bucket, strict=False)
    empty = dict.fromkeys(as_bucket(make_record())) | {"data_points": 1} | bare()
    model.model_validate(record_builder(await world.access(), asked(units, Resolution.HOUR))(empty))


def test_every_column_asked_for_exists() -> None:
    assert set(COLUMNS) <= set(history.FIELDS)
    assert set(columns_of(fields_at(Resolution.DAY), Resolution.DAY)) <= set(history.AGGREGATES)


async def test_a_bucket_reads_as_its_records_together(world: World) -> None:
    row = as_bucket(make_record()) | {
        "data_points": 3, "speed_mph": 100 / 3, "speed_mph_max": 50.0, "battery_v": 12.3456, "rpm": 1450.25,
        "distance_mi": 1.0004,
    }  # fmt: skip
    record = record_builder(await world.access(), asked(Units.METRIC, Resolution.DAY))(row)
    assert (record["data_points"], record["speed_kph"], record["speed_kph_max"]) == (3, 53.64, 80.47)
    assert (record["battery_voltage"], record["rpm"], record["distance_km"]) == (12.346, 1450.2, 1.61)
    assert "event_id" not in record


@pytest.mark.parametrize(
    ("names", "units", "columns"),
    [
        (["location", "odometer"], Units.IMPERIAL, ("time", "lat", "lng", "hdop", "is_valid", "odometer")),
        (["speed"], Units.METRIC, ("time", "speed_mph")),
        (["speed_kph", "time", "speed"], Units.METRIC, ("time", "speed_mph")),
        (["time"], Units.IMPERIAL, ("time",)),
    ],
)
async def test_only_the_fields_asked_for_are_read_and_told(
    names: list[str], units: Units, columns: tuple[str, ...], world: World
) -> None:
    query = asked(units, names=names)
    assert query.columns == columns
    record = record_builder(await world.access(), query)({name: make_record()[name] for name in columns})
    assert len(record) == 1 + len(query.fields)


@pytest.mark.parametrize(
    ("name", "units", "resolution"),
    [
        ("speedo", Units.IMPERIAL, Resolution.RAW),
        ("", Units.IMPERIAL, Resolution.RAW),
        ("speed_kph", Units.IMPERIAL, Resolution.RAW),
        ("raw_data", Units.IMPERIAL, Resolution.RAW),
        ("event_id", Units.IMPERIAL, Resolution.HOUR),
    ],
)
def test_an_unknown_field_is_told_what_there_is(name: str, units: Units, resolution: Resolution) -> None:
    with pytest.raises(UnknownFieldsError, match=r"time, received_at, location, speed, .*satellites"):
        chosen_fields([name], units, resolution)


@pytest.mark.parametrize(
    "row",
    [{"is_valid": False}, {"is_valid": None}, {"lat": None}, {"lng": None}, {"lat": 90.1}, {"lng": -214.7}],
)
async def test_without_a_fix_there_is_no_location(row: dict[str, Any], world: World) -> None:
    assert (await build(world, make_record(**row)))["location"] is None


async def test_without_a_fix_heading_and_altitude_mean_nothing(world: World) -> None:
    record = await build(world, make_record(is_valid=False, heading=0, altitude_ft=0.0))
    assert (record["heading"], record["altitude_ft"]) == (None, None)


async def test_no_codes_and_codes_not_known_are_told_apart(world: World) -> None:
    assert (await build(world, make_record(dtc_codes=[])))["dtc_codes"] == []
    assert (await build(world, make_record(dtc_codes=None)))["dtc_codes"] is None


@pytest.mark.parametrize("units", Units)
@pytest.mark.parametrize(
    "scopes",
    [
        BASE,
        [*BASE, Scope.LOCATION_COARSE],
        [*BASE, Scope.ODOMETER_READ],
        [*BASE, Scope.DTC_READ],
        list(Scope),
    ],
)
async def test_exactly_what_is_listed_as_withheld_is_null(
    scopes: list[Scope], units: Units, world: World
) -> None:
    access = await world.access(*scopes)
    full = make_record(hv_soc_pct=50)
    for resolution, row in ((Resolution.RAW, full), (Resolution.HOUR, as_bucket(full))):
        record = record_builder(access, asked(units, resolution))(row)
        null = {f"records.{name}" for name, value in record.items() if value is None}
        assert null == set(withheld_fields(access, asked(units, resolution)))


async def test_a_coarse_track_cannot_be_reckoned_from_heading(world: World) -> None:
    record = await build(world, make_record(), *BASE, Scope.LOCATION_COARSE)
    assert record["location"] == {"lat": 42.28, "lng": -83.74, "accuracy_m": 794.0}
    assert record["heading"] is None
