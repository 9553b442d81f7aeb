"""A device that moves to another car: history stays right, in what is stored and in what is to come."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from ingest.codec8.records import IoElement
from ingest.registry.models import Family, NewDevice
from ingest.registry.moving import Move, move_device, restamp, retire_device
from ingest.registry.registration import RegistrationConflictError
from ingest.registry.repository import active_imeis, add_device, connect, load_timeline
from telematics.clock import from_epoch_ms, utc_now
from telematics.errors import NotFoundError
from telematics.names import Origin
from tests.ingest.making import (
    NOON_MS,
    FakeMessage,
    fresh_imei,
    fresh_vin,
    make_frame,
    make_message,
    make_record,
)
from tests.ingest.sink.conftest import Bench, Vehicle

pytestmark = pytest.mark.integration

SECOND = timedelta(seconds=1)
NOON = from_epoch_ms(NOON_MS)


def frames(bench: Bench, imei: str, *seconds: int) -> list[FakeMessage]:
    """A frame for each second after noon, with both odometers."""
    return [
        make_message(
            make_frame(
                make_record(
                    NOON_MS + 1000 * second,
                    [IoElement(16, 4, 1_609_344 + second), IoElement(87, 4, 3_218_688)],
                )
            ),
            imei=imei,
            offset=bench.first_offset + second,
        )
        for second in seconds
    ]


def move(bench: Bench, imei: str, vin: str, second: float = 2) -> int:
    with connect(bench.settings, "test") as connection:
        wanted = Move(imei, vin, NOON + second * SECOND)
        return move_device(connection, wanted, "test", utc_now()).row_count


def day_version(bench: Bench) -> int:
    (row,) = bench.query("select version from hot_days where day = '2025-03-14'")
    return int(str(row["version"]))


def test_rows_of_after_the_move_go_to_the_new_car_and_their_day_is_loaded_again(
    bench: Bench, vehicle: Vehicle
) -> None:
    sink, _ = bench.sink()
    sink.handle(frames(bench, vehicle.imei, 0, 1, 2, 3))
    version, there = day_version(bench), fresh_vin()
    assert move(bench, vehicle.imei, there) == 2
    rows = bench.rows(vehicle.imei)
    assert [row["vin"] for row in rows] == [vehicle.vin, vehicle.vin, there, there]
    assert [row["odometer"] for row in rows] == [2000.0] * 4
    assert day_version(bench) == version + 1
    (source,) = bench.query(
        "select odometer_source from device_installations where imei = %s and vin = %s", vehicle.imei, there
    )
    assert source["odometer_source"] == "can"


def test_what_a_sink_stored_before_it_knew_is_found_by_a_second_look(bench: Bench, vehicle: Vehicle) -> None:
    sink, _ = bench.sink()
    sink.handle(frames(bench, vehicle.imei, 0))
    there = fresh_vin()
    assert move(bench, vehicle.imei, there, 1) == 0
    sink.handle(frames(bench, vehicle.imei, 1, 2))  # by what it read before the move
    assert [row["vin"] for row in bench.rows(vehicle.imei)] == [vehicle.vin] * 3
    with connect(bench.settings, "test") as connection:
        assert restamp(connection, vehicle.imei, NOON + SECOND) == 2
        assert restamp(connection, vehicle.imei, NOON + SECOND) == 0
    assert [row["vin"] for row in bench.rows(vehicle.imei)] == [vehicle.vin, there, there]
    successor, _ = bench.sink()
    successor.handle([*frames(bench, vehicle.imei, 3)])
    assert bench.rows(vehicle.imei)[-1]["vin"] == there


def test_days_that_are_no_longer_hot_are_loaded_again_from_the_move_on(
    bench: Bench, vehicle: Vehicle
) -> None:
    days = ["2001-02-03", "2001-02-04", "2001-02-05"]
    with connect(bench.settings, "test") as connection:
        for day in days:
            connection.execute("delete from day_loads where day = %s", (day,))
            connection.execute(
                "insert into hot_days values (%s, 1, 1, now()) on conflict (day) do update set version = 1",
                (day,),
            )
            connection.execute("insert into day_loads values (%s, now(), 'test', 1, 1, false, now())", (day,))
    move(bench, vehicle.imei, fresh_vin(), -(NOON - from_epoch_ms(981_244_800_000)).total_seconds())
    rows = bench.query("select version from hot_days where day = any(%s::date[]) order by day", days)
    assert [row["version"] for row in rows] == [1, 2, 2]
    with connect(bench.settings, "test") as connection:
        connection.execute("delete from day_loads where day = any(%s::date[])", (days,))
        connection.execute("delete from hot_days where day = any(%s::date[])", (days,))


def test_a_move_there_and_back_leaves_three_stays_and_an_audit_trail(bench: Bench, vehicle: Vehicle) -> None:
    there = fresh_vin()
    move(bench, vehicle.imei, there, 1)
    move(bench, vehicle.imei, vehicle.vin, 2)
    with connect(bench.settings, "test") as connection:
        timeline = load_timeline(connection, [vehicle.imei])
    assert [item.vin for item in timeline.installations(vehicle.imei)] == [vehicle.vin, there, vehicle.vin]
    events = bench.query(
        "select action, detail from audit_events where subject = %s order by audit_event_id", vehicle.imei
    )
    assert [event["action"] for event in events] == ["device.add", "device.move", "device.move"]
    assert events[1]["detail"] == {
        "from": vehicle.vin, "to": there, "at": "2025-03-14T12:00:01.000Z", "rows": 0,
    }  # fmt: skip


def test_a_refused_move_changes_nothing(bench: Bench, vehicle: Vehicle) -> None:
    move(bench, vehicle.imei, fresh_vin(), 5)
    before = bench.query(
        "select vin, removed_at::text from device_installations where imei = %s", vehicle.imei
    )
    for second in (5, 4):
        with pytest.raises(RegistrationConflictError):
            move(bench, vehicle.imei, fresh_vin(), second)
    assert (
        bench.query("select vin, removed_at::text from device_installations where imei = %s", vehicle.imei)
        == before
    )
    with pytest.raises(NotFoundError, match="piston device add"):
        move(bench, fresh_imei(), fresh_vin())


def test_a_retired_device_leaves_its_car_and_may_not_log_in_until_it_is_added_again(
    bench: Bench, register: Callable[..., Vehicle]
) -> None:
    vehicle = register()
    sink, _ = bench.sink()
    sink.handle(frames(bench, vehicle.imei, 0, 1))
    with connect(bench.settings, "test") as connection:
        assert retire_device(connection, vehicle.imei, NOON + SECOND, "test") == vehicle.vin
        assert active_imeis(connection, [vehicle.imei]) == frozenset()
        with pytest.raises(RegistrationConflictError, match="already"):
            retire_device(connection, vehicle.imei, NOON + SECOND, "test")
    assert [row["vin"] for row in bench.rows(vehicle.imei)] == [vehicle.vin, None]
    with pytest.raises(RegistrationConflictError, match="brings it back"):
        move(bench, vehicle.imei, fresh_vin())
    again = NewDevice(vehicle.imei, vehicle.vin, Family.F, Origin.RECORDED, since=NOON + 9 * SECOND)
    with connect(bench.settings, "test") as connection:
        assert add_device(connection, again, "test")
        assert active_imeis(connection, [vehicle.imei]) == {vehicle.imei}
    trail = bench.query(
        "select action, detail from audit_events where subject = %s order by audit_event_id", vehicle.imei
    )
    assert [event["action"] for event in trail] == ["device.add", "device.retire", "device.add"]
