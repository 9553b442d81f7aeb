"""How a load is cut into slices, and what stops a slice from being swapped in; without any server."""

from datetime import date, timedelta

import pytest

from telematics.clock import day_start
from warehouse import day_load, merging
from warehouse.day_load import MergeError
from warehouse.ledger import DayState

DAY = timedelta(1)


def make_state(day: date, rows: int = 0) -> DayState:
    return DayState(day, 1, rows, None, 0, False, None)


def test_slices_are_neighbouring_days_of_bounded_size() -> None:
    first = date(2026, 1, 1)
    days = [first + timedelta(number) for number in [*range(40), *range(50, 53)]]
    parts = list(day_load.slices([make_state(day) for day in days], {}))
    assert [day for part in parts for day in part] == days
    assert [len(part) for part in parts] == [31, 9, 3]


def test_a_slice_ends_before_it_has_too_many_rows_hot_and_kept() -> None:
    first = date(2026, 1, 1)
    half = day_load.SLICE_ROWS // 2
    states = [make_state(first, half), make_state(first + DAY, half), make_state(first + 2 * DAY, 1)]
    assert [len(part) for part in day_load.slices(states, {})] == [2, 1]
    assert [len(part) for part in day_load.slices(states, {first: 1})] == [1, 2]


def test_a_day_larger_than_a_slice_is_a_slice_of_its_own() -> None:
    first = date(2026, 1, 1)
    states = [make_state(first), make_state(first + DAY, 10**9), make_state(first + 2 * DAY)]
    assert [len(part) for part in day_load.slices(states, {})] == [1, 1, 1]


FIRST, SECOND = date(2026, 1, 1), date(2026, 1, 2)


def check(staged: dict[date, int], hot: int = 0, kept: int = 0, distinct: int | None = None) -> None:
    """Staged rows against those of the first day on both sides."""
    day_load.check_staged(
        staged, [FIRST], {FIRST: hot}, {FIRST: kept}, lambda _: kept if distinct is None else distinct
    )


def test_a_merge_may_be_larger_than_either_side() -> None:
    check({FIRST: 7}, hot=5, kept=4)
    check({FIRST: 5}, hot=5, kept=5)
    check({})


@pytest.mark.parametrize(("hot", "kept"), [(8, 0), (0, 8), (8, 8)])
def test_a_staged_day_that_lacks_rows_is_not_swapped_in(hot: int, kept: int) -> None:
    with pytest.raises(MergeError, match="load of 2026-01-01: 7 rows staged"):
        check({FIRST: 7}, hot=hot, kept=kept)


def test_duplicates_in_clickhouse_may_go() -> None:
    check({FIRST: 7}, hot=5, kept=9, distinct=7)
    with pytest.raises(MergeError):
        check({FIRST: 7}, hot=5, kept=9, distinct=8)


def test_a_row_outside_the_slice_stops_the_load() -> None:
    with pytest.raises(MergeError, match="2026-01-02"):
        check({FIRST: 7, SECOND: 1}, hot=7)


@pytest.mark.parametrize(("rows", "parts"), [(0, 1), (9, 1), (10, 2), (39, 4), (10**9, 8)])
def test_a_part_of_a_day_begins_with_a_second_and_where_the_last_one_ended(rows: int, parts: int) -> None:
    found = list(merging.portions(FIRST, SECOND, rows, 10))
    assert len(found) == parts
    assert [end for _, end in found[:-1]] == [start for start, _ in found[1:]]
    assert (found[0][0], found[-1][1]) == (day_start(FIRST), day_start(SECOND))
    assert not any(moment.microsecond for part in found for moment in part)
