import time

import numpy as np
import pytest

from simulation.device.errors import DeviceRefusedError, GatewayAwayError
from simulation.device.tracker import LinkPolicy
from simulation.replay.ledger import LedgerMismatchError, read_ledger
from simulation.replay.sender import Gateway, ReplayTotals, ledger_path, send_all
from tests.simulation.gateway import CLOSE, FEWER, REFUSE, SILENCE, ScriptedGateway
from tests.simulation.replay.sources import SmallSource

SOON = LinkPolicy(0.2, 0.01, 0.02, arrival_patience_s=0.2, patience_s=0.2, login_patience_s=0.2)
PATIENT = LinkPolicy(0.2, 0.01, 0.02)


async def send(folder, gateway, *sources, speedup=None, policy=PATIENT):
    totals = ReplayTotals(len(sources))
    await send_all(sources, folder, Gateway("127.0.0.1", gateway.port, policy), speedup, totals)
    return totals


async def test_everything_is_acknowledged_and_a_second_run_sends_nothing(tmp_path):
    source = SmallSource()
    async with ScriptedGateway() as gateway:
        totals = await send(tmp_path, gateway, source)
        assert (totals.delivery.acknowledged, totals.finished, totals.entered) == (40, 1, 40)
        assert np.array_equal(gateway.identities(), source.identities())
        assert read_ledger(ledger_path(tmp_path, source)).is_whole
        assert totals.left_out == {"OAT": 2}
        packets = len(gateway.frames)
        again = await send(tmp_path, gateway, SmallSource())
    assert (again.delivery.acknowledged, again.before, again.finished) == (0, 40, 1)
    assert (len(gateway.frames), gateway.login_count) == (packets, 1)


async def test_trouble_on_the_way_changes_neither_order_nor_content(tmp_path):
    source = SmallSource(count=200, block=70)
    script = [FEWER, CLOSE, "acknowledge", SILENCE, "acknowledge", CLOSE]
    async with ScriptedGateway(logins=[CLOSE], packets=script) as gateway:
        totals = await send(tmp_path, gateway, source)
    assert np.array_equal(gateway.identities(), source.identities())
    assert np.array_equal(read_ledger(ledger_path(tmp_path, source)).identities, source.identities())
    assert totals.delivery.resends == 4


async def test_an_interrupted_replay_goes_on_where_it_was_acknowledged(tmp_path):
    source = SmallSource(count=200, block=70)
    async with ScriptedGateway(packets=["acknowledge"] * 3 + [SILENCE] * 50) as first:
        with pytest.raises(GatewayAwayError):
            await send(tmp_path, first, source, policy=SOON)
    content = read_ledger(ledger_path(tmp_path, source))
    assert 0 < content.acknowledged < 200
    assert content.acknowledged == len(first.identities()) < len(content.identities)
    async with ScriptedGateway() as second:
        totals = await send(tmp_path, second, SmallSource(count=200, block=30))
    assert (totals.before, totals.delivery.acknowledged) == (content.acknowledged, 200 - content.acknowledged)
    together = np.concatenate([first.identities(), second.identities()])
    assert np.array_equal(together, source.identities())
    assert np.array_equal(read_ledger(ledger_path(tmp_path, source)).identities, source.identities())


async def test_what_is_on_the_network_is_in_the_ledger(tmp_path):
    source = SmallSource()
    async with ScriptedGateway(packets=[SILENCE] * 50) as gateway:
        with pytest.raises(GatewayAwayError):
            await send(tmp_path, gateway, source, policy=SOON)
    content = read_ledger(ledger_path(tmp_path, source))
    assert gateway.frames
    assert np.array_equal(content.identities, source.identities()[:15])
    assert content.acknowledged == 0


async def test_other_bytes_under_the_same_pin_are_not_sent(tmp_path):
    async with ScriptedGateway(packets=[SILENCE] * 50) as gateway:
        with pytest.raises(GatewayAwayError):
            await send(tmp_path, gateway, SmallSource(), policy=SOON)
    async with ScriptedGateway() as gateway:
        with pytest.raises(LedgerMismatchError, match="other bytes"):
            await send(tmp_path, gateway, SmallSource(spoilt=5))
    assert gateway.frames == []


async def test_many_devices_send_side_by_side(tmp_path):
    sources = [SmallSource(name=f"Small_{n}", imei=f"00102000010{n:04d}") for n in range(8)]
    async with ScriptedGateway() as gateway:
        totals = await send(tmp_path, gateway, *sources)
    assert (totals.delivery.acknowledged, totals.finished) == (320, 8)
    assert sorted(gateway.imeis) == sorted(source.device.imei for source in sources)


async def test_one_refused_device_ends_all_with_its_sentence(tmp_path):
    sources = [SmallSource(name=f"Small_{n}", imei=f"00102000010{n:04d}") for n in range(3)]
    async with ScriptedGateway(forever=REFUSE) as gateway:
        with pytest.raises(DeviceRefusedError, match="refused device"):
            await send(tmp_path, gateway, *sources, policy=SOON)


async def test_a_source_that_breaks_keeps_what_was_acknowledged(tmp_path):
    async with ScriptedGateway() as gateway:
        with pytest.raises(ValueError, match="ends in the middle"):
            await send(tmp_path, gateway, SmallSource(failing_at=30))
        await send(tmp_path, gateway, SmallSource())
    assert np.array_equal(gateway.identities(), SmallSource().identities())


async def test_speedup_keeps_the_recorded_spacing_divided(tmp_path):
    # seven records, a second apart: at 20 times the speed the last comes 0.3 s after the first
    source = SmallSource(count=7)
    async with ScriptedGateway() as gateway:
        started = time.monotonic()
        await send(tmp_path, gateway, source, speedup=20.0)
        took_s = time.monotonic() - started
    assert took_s >= 0.3
    assert len(gateway.frames) > 1
    assert np.array_equal(gateway.identities(), source.identities())


async def test_devices_start_together_in_recorded_time(tmp_path):
    sources = [SmallSource(count=3, name=f"Small_{n}", imei=f"00102000010{n:04d}") for n in range(2)]
    async with ScriptedGateway() as gateway:
        totals = await send(tmp_path, gateway, sources[0])
        totals = await send(tmp_path, gateway, *sources, speedup=100.0)
    assert (totals.before, totals.delivery.acknowledged) == (3, 3)
