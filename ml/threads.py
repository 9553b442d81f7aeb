"""Two folds at once with a thread each, instead of one fold with two threads that wait for each other.

Boosting synchronises its threads at every split. On two cores that other programs use too, the waiting
threads spin: one fit took 69 s of processor time with two threads and 11 s with one (`docs/models.md`).
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from threadpoolctl import threadpool_limits

WORKERS = 2
"""Folds at a time."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def one_thread() -> Iterator[None]:
    """scikit-learn's compiled loops, called from this thread, use no other."""
    with threadpool_limits(limits=1, user_api="openmp"):
        yield


def map_in_parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """The function's results in the order of the items; the first error ends it."""
    with ThreadPoolExecutor(max_workers=WORKERS) as executor:
        return list(executor.map(function, items))
