"""Which tier answers for which stretch of time."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

from warehouse.history.tiers import LARGEST_WINDOW, Span, Tier, spans, windows

START = datetime(2026, 1, 1, 6, tzinfo=UTC)
END = datetime(2026, 1, 10, 18, tzinfo=UTC)


def at(day: int) -> datetime:
    return datetime(2026, 1, day, tzinfo=UTC)


def warm(*days: date) -> dict[date, Tier]:
    return dict.fromkeys(days, Tier.WARM)


def test_the_archive_and_clickhouse_are_asked_for_their_own_days() -> None:
    moved = {date(2026, 1, 3): Tier.WARM, date(2026, 1, 2): Tier.ARCHIVE, date(2026, 1, 1): Tier.ARCHIVE}
    assert spans(START, END, moved) == [
        Span(Tier.ARCHIVE, START, at(3)),
        Span(Tier.WARM, at(3), at(4)),
        Span(Tier.HOT, at(4), END),
    ]


def test_without_dropped_days_all_is_hot() -> None:
    assert spans(START, END, {}) == [Span(Tier.HOT, START, END)]


def test_neighbouring_dropped_days_are_one_span_cut_to_the_range() -> None:
    moved = warm(date(2025, 12, 31), date(2026, 1, 1), date(2026, 1, 2), date(2026, 1, 3))
    assert spans(START, END, moved) == [Span(Tier.WARM, START, at(4)), Span(Tier.HOT, at(4), END)]


def test_a_hot_day_between_dropped_ones_stays_hot() -> None:
    moved = warm(date(2026, 1, 2), date(2026, 1, 4), date(2026, 1, 10), date(2026, 1, 11))
    assert spans(START, END, moved) == [
        Span(Tier.HOT, START, at(2)),
        Span(Tier.WARM, at(2), at(3)),
        Span(Tier.HOT, at(3), at(4)),
        Span(Tier.WARM, at(4), at(5)),
        Span(Tier.HOT, at(5), at(10)),
        Span(Tier.WARM, at(10), END),
    ]


def test_a_range_within_one_dropped_day_is_warm_alone() -> None:
    assert spans(at(5) + timedelta(hours=1), at(5) + timedelta(hours=2), warm(date(2026, 1, 5))) == [
        Span(Tier.WARM, at(5) + timedelta(hours=1), at(5) + timedelta(hours=2))
    ]


def test_an_empty_or_reversed_range_has_no_spans() -> None:
    assert spans(END, END, {}) == []
    assert spans(END, START, warm(date(2026, 1, 5))) == []


def test_windows_are_cut_at_midnights_so_that_no_bucket_is() -> None:
    part = Span(Tier.WARM, START, START + timedelta(days=1000, hours=3))
    cut = list(windows([part]))
    assert (cut[0].start, cut[-1].end) == (part.start, part.end)
    assert all(before.end == after.start for before, after in pairwise(cut))
    assert {window.end.time() for window in cut[:-1]} == {time(0)}
    assert all(window.end > window.start for window in cut)


def test_windows_cover_the_spans_without_gap_or_overlap_and_grow_to_the_largest() -> None:
    parts = [
        Span(Tier.WARM, at(1), at(1) + timedelta(days=5000)),
        Span(Tier.HOT, at(1) + timedelta(days=5000), at(1) + timedelta(days=5003)),
    ]
    cut = list(windows(parts))
    assert (cut[0].start, cut[-1].end) == (parts[0].start, parts[-1].end)
    assert all(before.end == after.start for before, after in pairwise(cut))
    assert max(window.end - window.start for window in cut) == LARGEST_WINDOW
    assert [window.tier for window in cut].count(Tier.HOT) == 1
