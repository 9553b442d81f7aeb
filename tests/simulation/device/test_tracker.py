import asyncio
import socket

import pytest

from simulation.device.encoding import encode_columns
from simulation.device.errors import DeviceRefusedError, GatewayAwayError
from simulation.device.packets import PacketBuilder
from simulation.device.tracker import LinkPolicy, Tracker
from tests.simulation.device.columns import make_columns
from tests.simulation.gateway import (
    ACCEPT_AND_CLOSE,
    CLOSE,
    FEWER,
    NONE,
    REFUSE,
    SILENCE,
    ScriptedGateway,
)

IMEI = "001020000100005"
SOON = LinkPolicy(
    acknowledgement_timeout_s=0.2,
    first_retry_s=0.01,
    longest_retry_s=0.02,
    arrival_patience_s=1.0,
    patience_s=5.0,
    login_patience_s=0.2,
)


@pytest.fixture
def packets():
    block = encode_columns(make_columns(6))
    builder = PacketBuilder(block)
    return [builder.build(0, 3), builder.build(3, 6)]


@pytest.fixture
def make_tracker():
    def make(port, policy=SOON):
        return Tracker(IMEI, "127.0.0.1", port, policy=policy)

    return make


async def deliver(tracker, packets):
    try:
        for packet in packets:
            await tracker.deliver(packet)
    finally:
        await tracker.disconnect()


async def test_packets_go_over_one_connection_in_order(make_tracker, packets):
    async with ScriptedGateway() as gateway:
        tracker = make_tracker(gateway.port)
        await deliver(tracker, packets)
    assert gateway.imeis == [IMEI]
    assert gateway.frames == [packet.frame for packet in packets]
    counters = tracker.counters
    assert (counters.acknowledged, counters.packets, counters.resends) == (6, 2, 0)
    assert (counters.connections, counters.connected, counters.losses) == (1, 0, 0)


@pytest.mark.parametrize("wrong", [FEWER, NONE])
async def test_a_wrong_count_sends_the_whole_packet_again_on_the_same_connection(
    make_tracker, packets, wrong
):
    async with ScriptedGateway(packets=[wrong, wrong]) as gateway:
        tracker = make_tracker(gateway.port)
        await deliver(tracker, packets)
    assert gateway.frames == [packets[0].frame] * 3 + [packets[1].frame]
    assert gateway.login_count == 1
    assert (tracker.counters.acknowledged, tracker.counters.resends) == (6, 2)


@pytest.mark.parametrize("failure", [SILENCE, CLOSE])
async def test_a_packet_without_answer_goes_again_over_a_new_connection(make_tracker, packets, failure):
    async with ScriptedGateway(packets=[failure, failure]) as gateway:
        tracker = make_tracker(gateway.port)
        await deliver(tracker, packets)
    assert gateway.frames == [packets[0].frame] * 3 + [packets[1].frame]
    assert gateway.stored == [packet.frame for packet in packets]
    assert gateway.login_count == 3
    assert (tracker.counters.losses, tracker.counters.resends, tracker.counters.connected) == (2, 2, 0)


@pytest.mark.parametrize("failure", [SILENCE, CLOSE])
async def test_a_login_without_answer_is_tried_again(make_tracker, packets, failure):
    async with ScriptedGateway(logins=[failure]) as gateway:
        tracker = make_tracker(gateway.port)
        await deliver(tracker, packets)
    assert gateway.login_count == 2
    assert (tracker.counters.connections, tracker.counters.resends) == (1, 0)


async def test_a_device_refused_for_a_moment_gets_in_later(make_tracker, packets):
    async with ScriptedGateway(logins=[REFUSE, REFUSE]) as gateway:
        await deliver(make_tracker(gateway.port), packets)
    assert gateway.login_count == 3


async def test_a_device_refused_for_good_is_one_sentence_without_its_number(make_tracker, packets):
    # a gateway that refuses is there, however long it does
    policy = LinkPolicy(0.2, 0.01, 0.02, arrival_patience_s=0.1, patience_s=0.1, login_patience_s=0.3)
    async with ScriptedGateway(forever=REFUSE) as gateway:
        with pytest.raises(DeviceRefusedError, match="piston device list") as caught:
            await deliver(make_tracker(gateway.port, policy), packets)
    assert caught.value.exit_code == 4
    assert IMEI not in str(caught.value)
    assert gateway.login_count > 1


async def test_a_gateway_that_was_never_there_is_one_sentence(make_tracker, packets):
    with socket.socket() as taken:  # bound but not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(GatewayAwayError, match="PISTON_GATEWAY_PORT") as caught:
            await deliver(make_tracker(taken.getsockname()[1]), packets)
    assert caught.value.exit_code == 3


async def test_a_gateway_that_refused_and_then_left_is_away(make_tracker, packets):
    patient = LinkPolicy(0.2, 0.01, 0.02, arrival_patience_s=0.2, patience_s=0.2, login_patience_s=60.0)
    async with ScriptedGateway(logins=[REFUSE], forever=CLOSE) as gateway:
        with pytest.raises(GatewayAwayError):
            await deliver(make_tracker(gateway.port, patient), packets)


async def test_a_gateway_that_accepts_and_hangs_up_is_tried_with_pauses_and_given_up(make_tracker, packets):
    policy = LinkPolicy(0.3, 0.02, 0.05, arrival_patience_s=0.3, patience_s=0.3, login_patience_s=0.3)
    async with ScriptedGateway(forever=ACCEPT_AND_CLOSE) as gateway:
        tracker = make_tracker(gateway.port, policy)
        with pytest.raises(GatewayAwayError):
            await deliver(tracker, packets)
    assert gateway.login_count < 30
    assert (tracker.counters.acknowledged, tracker.counters.connected) == (0, 0)


async def test_a_gateway_that_comes_back_gets_what_is_missing(make_tracker, packets):
    first = ScriptedGateway(packets=["acknowledge", CLOSE])
    async with first:
        tracker = make_tracker(first.port)
        await tracker.deliver(packets[0])
    again = ScriptedGateway()
    again.port = first.port
    async with again:
        await asyncio.sleep(0.05)  # the device hears that the link ended
        await tracker.deliver(packets[1])
        await tracker.disconnect()
    assert again.stored == [packets[1].frame]
    # a link that ended between two packets failed no packet
    assert (tracker.counters.losses, tracker.counters.resends) == (1, 0)
