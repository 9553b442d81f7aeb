"""The feed on the real servers."""

import os
import signal
import threading
import time

import pytest
import redis

from stack import control
from stack.processes import family
from telematics.errors import UnavailableError
from telematics.names import live_key
from warehouse.search import Feeder, run_feeder

pytestmark = pytest.mark.integration

T0 = 1_765_000_000_000


@pytest.fixture
def feeder(search_stack) -> Feeder:
    return Feeder(search_stack)


def place(lat: float, at: int = T0) -> tuple[int, dict[str, float]]:
    return at, {"lat": lat, "lng": -83.7, "accuracy_m": 5.0}


def test_a_position_reaches_the_document_and_the_rest_of_it_stays(feeder, build, register, say, document):
    vin = register()
    build()
    say(vin, position=place(42.25), seen=(T0, {"received_at": "x"}))
    feeder.sweep()
    found = document(vin)
    assert found["position"] == {"lat": 42.25, "lon": -83.7}
    assert (found["make"], found["last_seen"]) == ("Honda", "2025-12-06T05:46:40.000Z")


def test_only_what_changed_is_written(feeder, build, register, say):
    vin, other = register(), register()
    build()
    for each in (vin, other):
        say(each, position=place(42.25))
    feeder.sweep()
    say(vin, position=place(42.26, T0 + 1000))
    done = feeder.sweep()
    assert (done.changed, done.written) == (1, 1)
    assert feeder.sweep().changed == 0


def test_after_a_rebuild_everything_is_written_once_more(feeder, build, register, say, document):
    vin = register()
    build()
    feeder.sweep()
    # the rebuild has read the live state, and the feed still writes into the old index
    build(before_switch=lambda _: (say(vin, position=place(42.5)), feeder.sweep()))
    assert "position" not in document(vin)
    feeder.sweep()
    assert document(vin)["position"]["lat"] == 42.5


def test_an_older_state_does_not_take_a_newer_documents_place(search_stack, build, register, say, document):
    vin = register()
    build()
    early, late = Feeder(search_stack), Feeder(search_stack)
    say(vin, position=place(42.5, T0 + 5000))
    late.sweep()
    say(vin, position=place(41.0, T0))  # as a feeder saw it that was held up since
    assert early.sweep().stale == 1
    assert document(vin)["position"]["lat"] == 42.5


def test_a_vehicle_that_was_registered_since_the_rebuild_is_found_by_its_data(
    feeder, build, register, say, document
):
    build()
    vin = register(make="Saab")
    say(vin, position=place(42.25))
    feeder.sweep()
    assert document(vin)["make"] == "Saab"


def test_damaged_live_state_hurts_no_neighbour(feeder, build, register, say, document, search_stack):
    vin, neighbour = register(), register()
    build()
    with redis.Redis.from_url(search_stack.valkey_url()) as connection:
        connection.hset(live_key(vin), mapping={"position": b"\xff\xfe|not json", "seen": b"7"})
    say(neighbour, position=place(42.75))
    feeder.sweep()
    assert document(neighbour)["position"]["lat"] == 42.75
    assert "position" not in document(vin)


def test_a_server_that_is_down_is_an_error_in_a_sentence(search_stack):
    nobody = search_stack.model_copy(update={"search_url": "http://127.0.0.1:1"})
    with pytest.raises(UnavailableError, match="PISTON_SEARCH_PORT"):
        Feeder(nobody).sweep()


def test_the_feed_outlives_a_search_server_that_hangs(search_stack, build, register, say, document):
    vin = register()
    build()
    launcher = next(one.pid for one in control.status(search_stack) if one.name == "elasticsearch")
    _, server, *_ = family(launcher)
    settings = search_stack.model_copy(update={"search_feed_s": 0.2})
    stop = threading.Event()
    thread = threading.Thread(target=run_feeder, args=(settings, stop), kwargs={"request_s": 5.0})
    os.kill(server, signal.SIGSTOP)
    thread.start()
    try:
        say(vin, position=place(43.0))
        time.sleep(6.0)  # one request into nothing
        assert thread.is_alive()
        os.kill(server, signal.SIGCONT)
        end = time.monotonic() + 90
        while "position" not in (document(vin) or {}):
            assert time.monotonic() < end
            time.sleep(0.2)
    finally:
        os.kill(server, signal.SIGCONT)
        stop.set()
        thread.join(60)
    assert document(vin)["position"]["lat"] == 43.0
    assert not thread.is_alive()
