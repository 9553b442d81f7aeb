"""The sink's figures, each fed once."""

import pytest
from prometheus_client import CollectorRegistry

from ingest.sink.metrics import SinkMetrics
from ingest.sink.received import ReceivedSpan, widened

NOW_MS = 1_742_040_000_000


@pytest.fixture
def figures() -> CollectorRegistry:
    return CollectorRegistry()


def settle(figures: CollectorRegistry, received_ms: ReceivedSpan | None) -> None:
    SinkMetrics(figures).settled(
        frames=40, records=700, duplicates=3, dead_letters={"bad_crc": 2}, seconds=0.02,
        received_ms=received_ms, now_ms=NOW_MS,
    )  # fmt: skip


def value(figures: CollectorRegistry, name: str, **labels: str) -> float | None:
    return figures.get_sample_value(f"piston_sink_{name}", labels)


def test_a_batch_is_counted_by_messages_rows_duplicates_and_reasons(figures: CollectorRegistry) -> None:
    settle(figures, None)
    assert value(figures, "frames_total") == 40
    assert value(figures, "records_total") == 700
    assert value(figures, "duplicates_total") == 3
    assert value(figures, "dead_letters_total", reason="bad_crc") == 2


@pytest.mark.parametrize(
    ("name", "below", "within"),
    [
        ("batch_messages", "25.0", "50.0"),
        ("batch_rows", "500.0", "1000.0"),
        ("batch_seconds", "0.01", "0.025"),
        ("freshness_seconds", "1.0", "2.5"),
    ],
)
def test_sizes_and_times_are_histograms(
    figures: CollectorRegistry, name: str, below: str, within: str
) -> None:
    settle(figures, ReceivedSpan(NOW_MS - 2000, NOW_MS - 300))
    assert value(figures, f"{name}_bucket", le=below) == 0
    assert value(figures, f"{name}_bucket", le=within) == 1


def test_freshness_is_the_oldest_messages_age_and_lag_the_newests(figures: CollectorRegistry) -> None:
    settle(figures, ReceivedSpan(NOW_MS - 2000, NOW_MS - 300))
    assert value(figures, "freshness_seconds_sum") == 2.0
    assert value(figures, "lag_seconds") == 0.3


def test_a_gateway_whose_clock_runs_ahead_makes_no_negative_age(figures: CollectorRegistry) -> None:
    settle(figures, ReceivedSpan(NOW_MS + 5, NOW_MS + 9))
    assert (value(figures, "freshness_seconds_sum"), value(figures, "lag_seconds")) == (0, 0)


def test_a_batch_of_nothing_but_dead_letters_has_no_age(figures: CollectorRegistry) -> None:
    settle(figures, None)
    assert (value(figures, "freshness_seconds_count"), value(figures, "lag_seconds")) == (0, 0)


def test_a_span_grows_to_hold_another() -> None:
    early, late = ReceivedSpan.of(1), ReceivedSpan(5, 9)
    assert widened(early, late) == widened(late, early) == (1, 9)
    assert widened(None, late) == widened(late, None) == late
    assert widened(None, None) is None
