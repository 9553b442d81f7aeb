from datetime import date

import numpy as np
import pytest

from simulation.fleet.end_day import END_DAY_FILE, kept_end_day
from simulation.fleet.source import generated_fleet
from simulation.replay.ledger import LedgerMismatchError
from simulation.replay.sender import Gateway, ReplayTotals, send_all
from telematics.errors import ConfigurationError
from tests.simulation.gateway import ScriptedGateway

TODAY = date(2026, 1, 15)


def make_fleet(folder, vehicles=2, days=3, seed=1, today=TODAY):
    return generated_fleet(vehicles, days, seed, folder, today)


def identities(source, skip=0):
    return np.concatenate([block.identities for block in source.blocks(skip)])


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    one, other = make_fleet(tmp_path / "a"), make_fleet(tmp_path / "b")
    for first, second in zip(one, other, strict=True):
        assert [block.bodies for block in first.blocks(0)] == [block.bodies for block in second.blocks(0)]
        assert first.pin == second.pin


def test_another_seed_or_number_gives_other_cars_and_drives(tmp_path):
    first, second = make_fleet(tmp_path)
    (other,) = make_fleet(tmp_path, vehicles=1, seed=2)
    assert len({source.device.vin for source in (first, second, other)}) == 3
    assert len({source.name for source in (first, second, other)}) == 3
    assert len({identities(source)[:50].tobytes() for source in (first, second, other)}) == 3


def test_a_larger_fleet_begins_with_the_smaller_ones_cars(tmp_path):
    small, large = make_fleet(tmp_path, vehicles=2), make_fleet(tmp_path, vehicles=4)
    assert [source.pin for source in large[:2]] == [source.pin for source in small]
    assert np.array_equal(identities(large[1]), identities(small[1]))


def test_the_last_day_is_yesterday_on_the_first_run_and_kept_after(tmp_path):
    (first, _) = make_fleet(tmp_path)
    (later, _) = make_fleet(tmp_path, today=date(2026, 4, 1))
    days = {int(time) // 86_400_000 for time in identities(first)["time_ms"]}
    assert [date.fromordinal(719_163 + day) for day in sorted(days)] == [
        date(2026, 1, 12), date(2026, 1, 13), date(2026, 1, 14),
    ]  # fmt: skip
    assert np.array_equal(identities(later), identities(first))
    assert kept_end_day(tmp_path, 2, date(2026, 4, 1)) == date(2026, 3, 31)
    assert kept_end_day(tmp_path, 1, date(2026, 4, 2)) == date(2026, 1, 14)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"end_days": {"1": "soon"}}', '{"end_days": {"1": 5}}'])
def test_unreadable_last_days_are_a_sentence(tmp_path, content):
    (tmp_path / END_DAY_FILE).write_text(content)
    with pytest.raises(ConfigurationError, match="remove it together with the ledgers"):
        make_fleet(tmp_path)


def test_a_seed_that_is_refused_leaves_nothing_behind(tmp_path):
    with pytest.raises(ConfigurationError, match="--seed"):
        make_fleet(tmp_path / "state", seed=100_000)
    assert not (tmp_path / "state").exists()


def test_blocks_are_days_and_make_up_the_count(tmp_path):
    (source, _) = make_fleet(tmp_path)
    blocks = list(source.blocks(0))
    assert len(blocks) == 3
    assert sum(len(block) for block in blocks) == source.count()
    for block in blocks:
        assert len({int(time) // 86_400_000 for time in block.times_ms}) == 1


def test_the_records_behind_those_skipped_are_the_same_as_ever(tmp_path):
    (source, _) = make_fleet(tmp_path)
    everything, first_day = identities(source), len(next(source.blocks(0)))
    for skip in (1, first_day - 1, first_day, first_day + 1, source.count() - 1):
        assert np.array_equal(identities(source, skip), everything[skip:])
    assert list(source.blocks(source.count())) == []


def test_the_odometer_and_the_way_go_on_from_day_to_day(tmp_path):
    (source, _) = make_fleet(tmp_path)
    # the odometer is the last element of width 4, in front of two empty groups of two bytes
    lasts = [int.from_bytes(block.bodies[-8:-4]) for block in source.blocks(0)]
    firsts = [int.from_bytes(block.bodies[: int(block.starts[1])][-8:-4]) for block in source.blocks(0)]
    assert firsts[1:] == lasts[:-1]
    assert lasts == sorted(lasts)


async def test_a_fleet_drives_through_a_device_port_once(tmp_path):
    async with ScriptedGateway() as gateway:
        for expected in (True, False):
            sources = make_fleet(tmp_path, days=1)
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
                make_fleet(tmp_path, vehicles=1, days=days),
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
