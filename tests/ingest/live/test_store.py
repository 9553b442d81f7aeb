"""The script on a real server: what moves live state and what never does."""

import itertools
from collections.abc import Iterator

import pytest
import redis

from ingest.live.state import SIGNALS, Offer, Signal, offer_of
from ingest.live.store import LiveStore, LiveStoreUnavailableError, connect
from telematics.errors import ConfigurationError
from telematics.names import live_key
from telematics.settings import Settings
from tests.ingest.making import NOON_MS, fresh_vin
from tests.ingest.relay import Relay

pytestmark = pytest.mark.integration


@pytest.fixture
def client(stack: Settings) -> Iterator[redis.Redis]:
    client = connect(stack)
    yield client
    client.close()


@pytest.fixture
def store(client: redis.Redis) -> LiveStore:
    return LiveStore(client)


def fuel(level: int, time_ms: int, *others: Signal) -> Offer:
    return offer_of([Signal("fuel_pct", time_ms, b"%d" % level), *others])


def seen(time_ms: int) -> Signal:
    """As every record tells it."""
    return Signal("seen", time_ms, b"{}")


def test_signals_are_kept_with_their_time(store: LiveStore, client: redis.Redis) -> None:
    vin = fresh_vin()
    store.write({vin: fuel(70, NOON_MS, Signal("ignition", NOON_MS - 5, b"true"))})
    assert client.hgetall(live_key(vin)) == {
        b"fuel_pct": b"%d|70" % NOON_MS,
        b"ignition": b"%d|true" % (NOON_MS - 5),
    }


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_batches_in_any_order_end_in_the_same_state(
    store: LiveStore, client: redis.Redis, order: tuple[int, ...]
) -> None:
    vin = fresh_vin()
    batches = [
        fuel(70, NOON_MS, Signal("ignition", NOON_MS + 9, b"true")),
        fuel(60, NOON_MS + 1, Signal("speed_mph", NOON_MS + 1, b"1.5")),
        fuel(50, NOON_MS + 2),
    ]
    for number in order:
        store.write({vin: batches[number]})
    assert client.hgetall(live_key(vin)) == {
        b"fuel_pct": b"%d|50" % (NOON_MS + 2),
        b"ignition": b"%d|true" % (NOON_MS + 9),
        b"speed_mph": b"%d|1.5" % (NOON_MS + 1),
    }


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_signals_of_different_times_end_in_the_same_state_where_every_record_is_seen(
    store: LiveStore, client: redis.Redis, order: tuple[int, ...]
) -> None:
    vin = fresh_vin()
    batches = [
        fuel(70, NOON_MS, Signal("ignition", NOON_MS + 9, b"true"), seen(NOON_MS + 9)),
        fuel(60, NOON_MS + 1, Signal("speed_mph", NOON_MS + 1, b"1.5"), seen(NOON_MS + 1)),
        fuel(50, NOON_MS + 12, seen(NOON_MS + 12)),
        fuel(40, NOON_MS + 10, Signal("speed_mph", NOON_MS + 11, b"2.5"), seen(NOON_MS + 11)),
    ]
    for number in order:
        store.write({vin: batches[number]})
    assert client.hgetall(live_key(vin)) == {
        b"fuel_pct": b"%d|50" % (NOON_MS + 12),
        b"ignition": b"%d|true" % (NOON_MS + 9),
        b"speed_mph": b"%d|2.5" % (NOON_MS + 11),
        b"seen": b"%d|{}" % (NOON_MS + 12),
    }


def test_many_vehicles_are_written_each_on_its_own(store: LiveStore, client: redis.Redis) -> None:
    vins = [fresh_vin() for _ in range(130)]
    spoiled = vins[77]
    client.set(live_key(spoiled), "text")
    everything = offer_of([Signal(name, NOON_MS, b"%d" % place) for name, place in SIGNALS.items()])
    assert store.write(dict.fromkeys(vins, everything)) == (129 * len(SIGNALS), 1)
    for vin in vins:
        if vin != spoiled:
            assert client.hgetall(live_key(vin)) == {
                name.encode(): b"%d|%d" % (NOON_MS, place) for name, place in SIGNALS.items()
            }


@pytest.mark.parametrize("age_ms", [0, 1, 86_400_000, NOON_MS])
def test_late_and_repeated_data_never_moves_live_state(
    store: LiveStore, client: redis.Redis, age_ms: int
) -> None:
    vin = fresh_vin()
    assert store.write({vin: fuel(70, NOON_MS)}).signal_count == 1
    assert store.write({vin: fuel(10, NOON_MS - age_ms)}).signal_count == 0
    assert client.hget(live_key(vin), "fuel_pct") == b"%d|70" % NOON_MS


def test_a_value_without_a_time_gives_way(store: LiveStore, client: redis.Redis) -> None:
    vin = fresh_vin()
    client.hset(live_key(vin), "fuel_pct", "nonsense")
    store.write({vin: fuel(70, NOON_MS)})
    assert client.hget(live_key(vin), "fuel_pct") == b"%d|70" % NOON_MS


def test_a_key_of_another_kind_is_left_alone_and_counted(store: LiveStore, client: redis.Redis) -> None:
    spoiled, good = fresh_vin(), fresh_vin()
    client.set(live_key(spoiled), "text")
    result = store.write({spoiled: fuel(70, NOON_MS), good: fuel(60, NOON_MS)})
    assert result == (1, 1)
    assert client.get(live_key(spoiled)) == b"text"


def test_a_server_that_forgot_the_script_is_told_again(store: LiveStore, client: redis.Redis) -> None:
    vin = fresh_vin()
    store.write({vin: fuel(70, NOON_MS)})
    client.script_flush()
    assert store.write({vin: fuel(60, NOON_MS + 1)}).signal_count == 1


def test_while_the_server_is_away_the_batch_is_offered_again(stack: Settings) -> None:
    relay, vin = Relay(stack.valkey_port), fresh_vin()
    store = LiveStore(connect(stack.model_copy(update={"valkey_port": relay.port})))
    store.write({vin: fuel(70, NOON_MS)})
    relay.cut()
    with pytest.raises(LiveStoreUnavailableError):
        store.write({vin: fuel(60, NOON_MS + 1)})
    relay.heal()
    assert store.write({vin: fuel(60, NOON_MS + 1)}).signal_count == 1
    store.close()
    relay.close()


def test_a_wrong_password_is_a_sentence_that_names_the_setting(stack: Settings) -> None:
    wrong = type(stack)(**{**stack.model_dump(), "valkey_password": "wrong"}, _env_file=None)
    store = LiveStore(connect(wrong))
    with pytest.raises(ConfigurationError, match="PISTON_VALKEY_PASSWORD"):
        store.write({fresh_vin(): fuel(70, NOON_MS)})
    store.close()
