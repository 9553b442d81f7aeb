"""What ClickHouse keeps of a measured number gives it back bit by bit, whatever it was."""

import math
import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from telematics.units import feet_from_metres, miles_from_metres, mph_from_kph
from tests.warehouse.planting import insert_rows, rows_to_store
from warehouse import stored
from warehouse.steps import STEPS, Step

pytestmark = pytest.mark.integration

MOMENT = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
BOUNDS = {"Int16": (-(2**15), 2**15 - 1), "UInt16": (0, 2**16 - 1), "Int32": (-(2**31), 2**31 - 1)}


def single(value: float) -> float:
    """The nearest number of 32 bits."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def bits(value: float | None) -> bytes | None:
    return None if value is None else struct.pack("d", value)


@pytest.fixture
def table(warm: Client) -> Iterator[str]:
    """An empty twin of `telemetry`."""
    name = "analytics.stored_rows"
    warm.command(f"drop table if exists {name} sync")
    warm.command(f"create table {name} as analytics.telemetry")
    yield name
    warm.command(f"drop table {name} sync")


def stored_again(
    client: Client, table: str, rows: Sequence[dict[str, Any]], *names: str
) -> list[tuple[Any, ...]]:
    """These columns of rows that were stored, in their order."""
    numbered = [{"time": MOMENT, "content_hash": number, **row} for number, row in enumerate(rows)]
    insert_rows(client, numbered, table)
    found = client.query(f"select {', '.join(names)} from {table} order by content_hash")
    return [tuple(row) for row in found.result_rows]


def test_the_tables_alias_columns_are_those_of_the_code(warm: Client):
    live = dict(
        warm.query(
            "select name, default_expression from system.columns where database = 'analytics' "
            "and table = 'telemetry' and default_kind = 'ALIAS'"
        ).result_rows
    )
    assert live.keys() == set(stored.NOT_STORED)
    for name, expression in live.items():
        said = warm.query(
            "select formatQuerySingleLine(concat('select ', {said:String}))",
            parameters={"said": stored.alias(name)},
        ).result_rows[0][0]
        assert said == f"SELECT {expression}"


@pytest.mark.parametrize("step", STEPS, ids=[step.name for step in STEPS])
def test_the_integers_of_a_step_are_kept_and_what_lies_beside_them_is_stated(
    warm: Client, table: str, step: Step
):
    """All of 16 bits; 100,000 all over 32, or over what 32-bit numbers tell apart (4 kV)."""
    lowest, highest = BOUNDS[step.kept_type]
    if step.is_single:
        lowest, highest = max(lowest, -4_000_000), min(highest, 4_000_000)
    stride = max(1, (highest - lowest) // 100_003)
    width = step.value_type.removeprefix("Float")
    image = f"reinterpretAsUInt{width}"
    sent = f"cast(content_hash, '{step.kept_type}')"
    exact = stored.step_value(step, sent)
    # the bits of zero's neighbour are those of a number like any other, and of 0.0 no integer's
    beside = f"reinterpretAsFloat{width}({image}({exact}) + 1)"
    for value, is_exact in ((exact, True), (beside, False)):
        warm.command(f"truncate table {table}")
        with rows_to_store(warm, table) as given:
            warm.command(
                f"insert into {given} (time, content_hash, {step.name}) "
                f"select 0, toInt64(number) * {stride} + {lowest} as content_hash, {value} "
                f"from numbers({(highest - lowest) // stride + 1})"
            )
        rows, wrong, kept, stated, told = warm.query(
            f"select count(), countIf({image}(assumeNotNull({step.name})) != {image}({value})), "
            f"countIf({step.kept} = {sent}), countIf(mapContains(stated, '{step.name}')), "
            f"count({step.kept}) from {table}"
        ).result_rows[0]
        assert rows >= 2**16
        assert wrong == 0
        assert (kept, stated, told) == ((rows, 0, rows) if is_exact else (0, rows, 0))


def test_what_devices_send_is_kept_as_they_sent_it(warm: Client, table: str):
    row = {
        "lat": 422876128 / 1e7,
        "lng": -836868378 / 1e7,
        "speed_mph": single(mph_from_kph(37)),
        "altitude_ft": single(feet_from_metres(-12)),
        "battery_v": single(12.345),
        "hdop": single(0.9),
        "maf_gps": single(3.27),
        "crank_v": single(9.871),
        "charge_v": single(14.2),
        "odometer_source": "can",
        "odometer_can_m": 123_456_789,
        "odometer": miles_from_metres(123_456_789),
    }
    names = [step.kept for step in STEPS]
    [kept] = stored_again(warm, table, [row], *names, "stated")
    assert kept == (422876128, -836868378, 37, -12, 12345, 9, 327, 9871, 14200, {})


def test_numbers_that_no_device_sends_come_back_bit_by_bit(warm: Client, table: str):
    odd = [0.1 + 0.2, -0.0, 1e-7 / 3, 5e-324, 1e300, math.inf, -math.inf, 300.0, None, 42.28761285, 0.0]
    rows = [
        {
            "lat": value,
            "speed_mph": None if value is None else single(value % 1e9) if math.isfinite(value) else value,
        }
        for value in odd
    ]
    found = stored_again(warm, table, rows, "lat", "speed_mph", "lat_e7", "mapKeys(stated)")
    for (lat, speed, kept, keys), row in zip(found, rows, strict=True):
        assert (bits(lat), bits(speed)) == (bits(row["lat"]), bits(row["speed_mph"])), row
        assert (kept is None) == (lat is None or "lat" in keys)
    assert [kept for _, _, kept, _ in found[-4:]] == [None, None, None, 0], "300 degrees are no 32 bits"


def test_an_odometer_that_is_not_what_its_metres_say_is_stated(warm: Client, table: str):
    metres = {"odometer_can_m": 1609344, "odometer_source": "can"}
    rows: list[dict[str, Any]] = [
        {**metres, "odometer": 1000.0},
        {**metres, "odometer": math.nextafter(1000.0, 0)},
        {**metres, "odometer": None},
        {**metres, "odometer": math.nan},
        {"odometer_can_m": None, "odometer_source": "partner", "odometer": 7.5},
        {"odometer_can_m": None, "odometer_source": None, "odometer": None},
        {"odometer_can_m": 5, "odometer_source": None, "odometer": None},
    ]
    found = stored_again(warm, table, rows, "odometer", "mapKeys(stated)")
    assert [bits(miles) for miles, _ in found] == [bits(row["odometer"]) for row in rows]
    assert [len(keys) for _, keys in found] == [0, 1, 2, 1, 1, 0, 0]
    assert all("odometer" in keys for _, keys in found[1:5])
