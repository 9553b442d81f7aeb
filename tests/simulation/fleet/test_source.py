from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pytest

from ingest.codec8.decoding import decode_avl
from ingest.codec8.encoding import join_records
from ingest.codec8.records import CodecId
from ingest.measurement import element_columns, measure
from simulation.fleet.end_day import END_DAY_FILE, kept_end_day
from simulation.fleet.source import fleet_days, fleet_sources
from simulation.replay.ledger import LedgerMismatchError
from simulation.replay.sender import Gateway, ReplayTotals, send_all
from telematics.errors import ConfigurationError
from tests.simulation.gateway import ScriptedGateway

END = date(2022, 6, 30)
TODAY = date(2026, 1, 15)
IGNITION = 239


def make_fleet(vehicles=2, days=3, seed=1, end_day=END):
    return fleet_sources(seed=seed, vehicles=vehicles, days=days, end_day=end_day)


def identities(source, skip=0):
    return np.concatenate([block.identities for block in source.blocks(skip)])


def records_of(block):
    edges = block.starts.tolist()
    bodies = [block.bodies[start:end] for start, end in pairwise(edges)]
    return [decode_avl(join_records(CodecId.CODEC_8_EXTENDED, [body])).records[0] for body in bodies]


@pytest.fixture(scope="module")
def week():
    """The records of two cars' week, by car and day."""
    return [[records_of(block) for block in source.blocks(0)] for source in make_fleet(days=7)]


def test_the_same_seed_gives_the_same_bytes():
    for first, second in zip(make_fleet(), make_fleet(), strict=True):
        assert [block.bodies for block in first.blocks(0)] == [block.bodies for block in second.blocks(0)]
        assert first.pin == second.pin


def test_another_seed_or_number_gives_other_cars_and_drives():
    first, second = make_fleet()
    (other,) = make_fleet(vehicles=1, seed=2)
    assert len({source.device.vin for source in (first, second, other)}) == 3
    assert len({source.device.imei for source in (first, second, other)}) == 3
    assert len({source.name for source in (first, second, other)}) == 3
    assert len({identities(source)[:50].tobytes() for source in (first, second, other)}) == 3


def test_a_larger_fleet_begins_with_the_smaller_ones_cars():
    small, large = make_fleet(vehicles=2), make_fleet(vehicles=25)
    for one, same in zip(small, large, strict=False):
        assert one.pin == same.pin
        assert [block.bodies for block in one.blocks(0)] == [block.bodies for block in same.blocks(0)]


def test_more_days_and_a_later_end_leave_a_day_as_it_is():
    def day_of(source):
        return {int(block.times_ms[0]) // 86_400_000: block.bodies for block in source.blocks(0)}

    for short, long in zip(
        make_fleet(days=3), make_fleet(days=40, end_day=END + timedelta(days=20)), strict=True
    ):
        own, longer = day_of(short), day_of(long)
        assert own
        assert own.items() <= longer.items()


def test_blocks_are_days_and_make_up_the_count():
    for source in make_fleet():
        blocks = list(source.blocks(0))
        assert sum(len(block) for block in blocks) == source.count()
        for block in blocks:
            assert len({int(time) // 86_400_000 for time in block.times_ms}) == 1
            assert (np.diff(block.times_ms) > 0).all()


def test_the_records_behind_those_skipped_are_the_same_as_ever():
    (source, _) = make_fleet()
    everything, first_day = identities(source), len(next(source.blocks(0)))
    for skip in (1, first_day - 1, first_day, first_day + 1, source.count() - 1):
        assert np.array_equal(identities(source, skip), everything[skip:])
    assert list(source.blocks(source.count())) == []


def test_the_odometer_goes_on_over_days_that_are_missing():
    columns = element_columns("F")
    for source in make_fleet(days=30):
        readings = [
            [measure(record, columns)["odometer_gnss_m"] for record in records_of(block)]
            for block in source.blocks(0)
        ]
        flat = [reading for day in readings for reading in day]
        assert flat == sorted(flat)
        days = [int(block.times_ms[0]) // 86_400_000 for block in source.blocks(0)]
        for (before, day), (after, next_day) in pairwise(zip(readings, days, strict=True)):
            assert next_day > day + 1 or after[0] == before[-1]


def test_each_start_is_an_event_with_the_rest_voltage_and_the_dip_a_second_later(week):
    columns = element_columns("F")
    dips = starts = 0
    for day in (day for car in week for day in car):
        for record, following in pairwise(day):
            row = measure(record, columns)
            if record.event_io_id == IGNITION and row["ignition"]:
                starts += 1
                assert record.priority == 1
                assert 11.5 < row["battery_v"] < 13.5
                assert row["ambient_c"] == int(row["ambient_c"])
                if following.timestamp_ms - record.timestamp_ms == 1000:
                    dips += 1
                    assert measure(following, columns)["battery_v"] < row["battery_v"]
    assert starts >= dips > 0.8 * starts > 5


def test_ignition_events_come_in_pairs_and_the_parked_car_reports_once_an_hour(week):
    columns = element_columns("F")
    for day in (day for car in week for day in car):
        events = [measure(record, columns)["ignition"] for record in day if record.event_io_id == IGNITION]
        assert events == [True, False] * (len(events) // 2)
        parked = [record for record in day if not measure(record, columns)["ignition"]]
        quiet = [
            (after.timestamp_ms - before.timestamp_ms) / 1000
            for before, after in pairwise(parked)
            if not before.event_io_id and not after.event_io_id
        ]
        assert all(seconds >= 3600 for seconds in quiet)
        assert all(record.speed_kph == 0 for record in parked)


def test_speed_integrates_to_the_odometer(week):
    columns = element_columns("F")
    for day in (day for car in week for day in car):
        odometer = [measure(record, columns)["odometer_gnss_m"] for record in day]
        by_speed_m = sum(
            (one.speed_kph + other.speed_kph) / 2 / 3.6 * (other.timestamp_ms - one.timestamp_ms) / 1000
            for one, other in pairwise(day)
        )
        assert by_speed_m == pytest.approx(odometer[-1] - odometer[0], rel=0.02, abs=30)


def test_sources_are_named_by_five_digits_and_registered_as_simulated(week):
    (first, _) = make_fleet()
    assert first.name == "Fleet_1_00001"
    assert first.device.make == "Simulated"
    assert 2010 <= first.device.model_year <= 2020
    assert first.left_out() == {}


def test_silent_days_have_no_block():
    (days, *_) = fleet_days(seed=3, vehicles=1, days=300, end_day=END)
    assert 0 < days.is_silent.sum() < 200
    assert len(list(days.recorded())) == 300 - days.is_silent.sum()


def test_the_last_day_is_yesterday_on_the_first_run_and_kept_after(tmp_path):
    assert kept_end_day(tmp_path, 1, TODAY) == date(2026, 1, 14)
    assert kept_end_day(tmp_path, 2, date(2026, 4, 1)) == date(2026, 3, 31)
    assert kept_end_day(tmp_path, 1, date(2026, 4, 2)) == date(2026, 1, 14)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"end_days": {"1": "soon"}}', '{"end_days": {"1": 5}}'])
def test_unreadable_last_days_are_a_sentence(tmp_path, content):
    (tmp_path / END_DAY_FILE).write_text(content)
    with pytest.raises(ConfigurationError, match="remove it together with the ledgers"):
        kept_end_day(tmp_path, 1, TODAY)


async def test_a_fleet_drives_through_a_device_port_once(tmp_path):
    async with ScriptedGateway() as gateway:
        for expected in (True, False):
            sources = make_fleet(days=1)
            totals = ReplayTotals(len(sources))
            await send_all(sources, tmp_path, Gateway("127.0.0.1", gateway.port), None, totals)
            sent = sum(source.count() for source in sources) if expected else 0
            assert totals.delivery.acknowledged == sent
        stored = np.sort(gateway.identities())
    assert np.array_equal(stored, np.sort(np.concatenate([identities(source) for source in sources])))


async def test_other_days_of_the_same_fleet_are_refused_from_the_same_folder(tmp_path):
    async with ScriptedGateway() as gateway:
        for days in (1, 2):
            totals = ReplayTotals(1)
            sending = send_all(
                make_fleet(vehicles=1, days=days),
                tmp_path,
                Gateway("127.0.0.1", gateway.port),
                None,
                totals,
            )
            if days == 1:
                await sending
            else:
                with pytest.raises(LedgerMismatchError, match="another days"):
                    await sending
