"""How long a batch may fill."""

import gc
from collections.abc import Iterator

import pytest

from ingest.collecting import spare_collector
from ingest.stream.consumer import BUSY_MESSAGES, ConsumerOptions, linger_after


def test_a_busy_stream_is_read_in_larger_batches_and_a_quiet_one_at_once() -> None:
    options = ConsumerOptions("broker:9092", "group", ("topic",), linger_s=0.05, busy_linger_s=0.2)
    assert linger_after(options, 0) == 0.05
    assert linger_after(options, BUSY_MESSAGES - 1) == 0.05
    assert linger_after(options, BUSY_MESSAGES) == 0.2


def test_without_a_busy_linger_it_is_always_the_same() -> None:
    options = ConsumerOptions("broker:9092", "group", ("topic",), linger_s=0.05)
    assert linger_after(options, 10 * BUSY_MESSAGES) == 0.05


@pytest.fixture
def collector() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_a_consumer_keeps_the_collector_on_and_away_from_what_was_loaded(collector: None) -> None:
    spare_collector()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold()[0] > 10_000
