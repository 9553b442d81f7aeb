"""A device that moves to another car: history stays right, in what is stored and in what is to come."""

from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest

from ingest.codec8.records import IoElement
from ingest.registry.models import Family, NewDevice
from ingest.registry.moving import (
    Arrival,
    Departure,
    Move,
    move_device,
    register_device,
    remove_device,
    restamp,
    retire_device,
)
from ingest.registry.registration import RegistrationConflictError
from ingest.registry.repository import Connection, active_imeis, add_device, connect, load_timeline
from ingest.registry.second_look import restamp_again
from telematics.clock import from_epoch_ms, utc_now
from telematics.errors import NotFoundError, UnavailableError
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
from warehouse.dirty import dirty_days

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


def test_miles_after_a_move_are_those_of_the_sink_to_the_last_bit(bench: Bench, vehicle: Vehicle) -> None:
    """A division of decimals gives other last bits in one of five; the archive tells the two apart."""
    metres = {second: 70_000_001 + 12_345_677 * second for second in range(40)}
    sink, _ = bench.sink()
    sink.handle(
        [
            make_message(
                make_frame(make_record(NOON_MS + 1000 * second, [IoElement(87, 4, value)])),
                imei=vehicle.imei,
                offset=bench.first_offset + second,
            )
            for second, value in metres.items()
        ]
    )
    stored = [row["odometer"] for row in bench.rows(vehicle.imei)]
    assert move(bench, vehicle.imei, fresh_vin(), 0) == len(metres)
    assert [row["odometer"] for row in bench.rows(vehicle.imei)] == stored
    assert stored == [value / 1609.344 for value in metres.values()]


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


def _move(connection: Connection, imei: str, at: datetime) -> Departure:
    return move_device(connection, Move(imei, fresh_vin(), at), "test", utc_now())


def _remove(connection: Connection, imei: str, at: datetime) -> Departure:
    return remove_device(connection, imei, at, "test")


def _retire(connection: Connection, imei: str, at: datetime) -> Departure:
    return retire_device(connection, imei, at, "test")


departures = pytest.mark.parametrize("depart", [_move, _remove, _retire])
Depart = Callable[[Connection, str, datetime], Departure]


@departures
def test_rows_that_a_sink_stores_meanwhile_lose_the_old_car_whoever_is_slow(
    bench: Bench, vehicle: Vehicle, depart: Depart
) -> None:
    sink, _ = bench.sink()
    sink.handle(frames(bench, vehicle.imei, 0, 1))
    with connect(bench.settings, "test") as connection:
        assert depart(connection, vehicle.imei, NOON + SECOND) == Departure(vehicle.vin, 1)
    version = day_version(bench)
    sink.handle(frames(bench, vehicle.imei, 2, 3))  # by what it read before
    slow = sink_in_the_middle(bench, vehicle)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            slow.commit()
            slow.close()

    with connect(bench.settings, "test") as connection:
        connection.autocommit = True
        assert restamp_again(connection, vehicle.imei, NOON + SECOND, sleep=wait) == 3
        assert restamp_again(connection, vehicle.imei, NOON + SECOND, sleep=waits.append) == 0
    assert waits[:4] == [7.0, 0.25, 0.25, 7.0], "first the sinks' memory, then the one that is slow"
    before, *after = [row["vin"] for row in bench.rows(vehicle.imei)]
    assert before == vehicle.vin
    assert len(set(after)) == 1, "all rows of after are in one car or in none"
    assert after[0] != vehicle.vin
    assert day_version(bench) >= version + 2, "the sink's own batch, and what was set right"


def test_a_transaction_that_does_not_end_is_told_and_holds_up_nothing_else(
    bench: Bench, vehicle: Vehicle
) -> None:
    sink, _ = bench.sink()
    sink.handle(frames(bench, vehicle.imei, 0, 1))
    slow = sink_in_the_middle(bench, vehicle)
    with connect(bench.settings, "test") as connection:
        connection.autocommit = True
        with connection.transaction():
            _remove(connection, vehicle.imei, NOON + SECOND)
        sink.handle(frames(bench, vehicle.imei, 2))
        with pytest.raises(UnavailableError, match="pg_stat_activity"):
            restamp_again(connection, vehicle.imei, NOON + SECOND, patience_s=0, sleep=lambda _seconds: None)
    slow.close()
    assert [row["vin"] for row in bench.rows(vehicle.imei)] == [vehicle.vin, None, None]


def sink_in_the_middle(bench: Bench, vehicle: Vehicle) -> Connection:
    """An open transaction with a row of the old car, four seconds after noon."""
    connection = connect(bench.settings, "test")
    connection.execute(
        "insert into telemetry (time, device_id, vin, event_id, received_at, content_hash, stream_position)"
        " values (%s, %s, %s, 0, now(), 4, 4)",
        (NOON + 4 * SECOND, vehicle.imei, vehicle.vin),
    )
    return connection


@departures
def test_days_that_are_no_longer_hot_are_loaded_again_from_then_on(
    bench: Bench, vehicle: Vehicle, depart: Depart
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
        depart(connection, vehicle.imei, from_epoch_ms(981_244_800_000))
    rows = bench.query("select version from hot_days where day = any(%s::date[]) order by day", days)
    assert [row["version"] for row in rows] == [1, 2, 2]
    assert dirty_days(bench.settings, date(2001, 2, 3), date(2001, 2, 6)) == [
        date(2001, 2, 4), date(2001, 2, 5),
    ]  # fmt: skip
    with connect(bench.settings, "test") as connection:
        connection.execute("delete from day_loads where day = any(%s::date[])", (days,))
        connection.execute("delete from hot_days where day = any(%s::date[])", (days,))


@pytest.mark.parametrize("depart", [_remove, _retire])
def test_a_device_that_comes_back_gives_its_rows_since_then_the_car(
    bench: Bench, vehicle: Vehicle, depart: Depart
) -> None:
    sink, _ = bench.sink()
    sink.handle(frames(bench, vehicle.imei, 0, 1, 2))
    with connect(bench.settings, "test") as connection:
        depart(connection, vehicle.imei, NOON + SECOND)
    version = day_version(bench)
    back = NewDevice(vehicle.imei, vehicle.vin, Family.F, Origin.RECORDED, since=NOON + 2 * SECOND)
    with connect(bench.settings, "test") as connection:
        assert register_device(connection, back, "test") == Arrival(True, True, 1)
        assert register_device(connection, back, "test") == Arrival(False, True, 0)
    assert [row["vin"] for row in bench.rows(vehicle.imei)] == [vehicle.vin, None, vehicle.vin]
    assert day_version(bench) == version + 1


def test_a_device_that_nobody_knew_leaves_cold_days_alone(bench: Bench) -> None:
    new = NewDevice(fresh_imei(), fresh_vin(), Family.F, Origin.RECORDED)
    day = date(2001, 2, 4)
    with connect(bench.settings, "test") as connection:
        connection.execute("insert into hot_days values (%s, 1, 1, now())", (day,))
        connection.execute("insert into day_loads values (%s, now(), 'test', 1, 1, false, now())", (day,))
        assert register_device(connection, new, "test") == Arrival(True, False, 0)
        version = connection.execute("select version from hot_days where day = %s", (day,)).fetchone()
        assert version == (1,)
        connection.rollback()


@pytest.mark.parametrize("depart", [_remove, _retire])
def test_a_refused_departure_changes_nothing(bench: Bench, vehicle: Vehicle, depart: Depart) -> None:
    move(bench, vehicle.imei, fresh_vin(), 5)
    stay = "select vin, removed_at::text from device_installations where imei = %s order by installed_at"
    before = bench.query(stay, vehicle.imei)
    for at, says in [(utc_now() + SECOND, "in the future"), (NOON + 5 * SECOND, "present vehicle since")]:
        with (
            pytest.raises(RegistrationConflictError, match=says),
            connect(bench.settings, "test") as connection,
        ):
            depart(connection, vehicle.imei, at)
    with pytest.raises(NotFoundError), connect(bench.settings, "test") as connection:
        depart(connection, fresh_imei(), NOON)
    assert bench.query(stay, vehicle.imei) == before


def test_a_removed_device_may_log_in_and_cannot_be_removed_twice(bench: Bench, vehicle: Vehicle) -> None:
    with connect(bench.settings, "test") as connection:
        assert _remove(connection, vehicle.imei, NOON) == Departure(vehicle.vin, 0)
        assert active_imeis(connection, [vehicle.imei]) == {vehicle.imei}
        with pytest.raises(NotFoundError, match="piston device list"):
            _remove(connection, vehicle.imei, NOON + SECOND)
    trail = bench.query(
        "select action, detail from audit_events where subject = %s order by audit_event_id", vehicle.imei
    )
    assert [event["action"] for event in trail] == ["device.add", "device.remove"]
    assert trail[1]["detail"] == {"vin": vehicle.vin, "at": "2025-03-14T12:00:00.000Z", "rows": 0}


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
        assert retire_device(connection, vehicle.imei, NOON + SECOND, "test") == Departure(vehicle.vin, 1)
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
