"""Arithmetic of survival curves given at fixed edges: interpolation, risk, times, Kaplan–Meier.

A curve is a row of S(edge) for every edge, S(0) = 1. Within an interval the hazard is constant, so
ln S is linear there. Nothing is ever said beyond the last edge (`models.md` 1.8).
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from ml.days import FloatArray

EDGES: Final[tuple[int, ...]] = (0, 7, 14, 30, 60, 90, 150, 240, 365)
"""Edges of the hazard's intervals in days (`models.md` 1.4)."""
HORIZON_DAYS: Final = EDGES[-1]
SHORT_DAYS: Final = 30
LONG_DAYS: Final = 90
"""The two horizons that are shown."""
TINY: Final = 1e-12


def from_hazards(hazards: FloatArray) -> FloatArray:
    """S at every edge, shape (n, intervals + 1), from the probability to fail in each interval."""
    inside = np.clip(hazards, 0.0, 1.0 - 1e-9)
    curves = np.exp(np.cumsum(np.log1p(-inside), axis=1))
    return np.concatenate([np.ones((len(hazards), 1)), curves], axis=1)


def survival_at(curves: FloatArray, days: float, edges: tuple[int, ...] = EDGES) -> FloatArray:
    """S(days) of each curve, shape (n,).

    Raises:
        ValueError: `days` lies outside the edges; a curve says nothing there.
    """
    if not edges[0] <= days <= edges[-1]:
        message = f"a curve says nothing at {days} days: it ends at {edges[-1]}"
        raise ValueError(message)
    interval = min(int(np.searchsorted(edges, days, side="right")) - 1, len(edges) - 2)
    share = (days - edges[interval]) / (edges[interval + 1] - edges[interval])
    log_curves = np.log(np.maximum(curves[:, interval : interval + 2], TINY))
    return np.exp((1 - share) * log_curves[:, 0] + share * log_curves[:, 1])


def risk_at(curves: FloatArray, days: float, edges: tuple[int, ...] = EDGES) -> FloatArray:
    """P(T <= days) of each curve, shape (n,)."""
    return 1.0 - survival_at(curves, days, edges)


def days_at(curves: FloatArray, level: float, edges: tuple[int, ...] = EDGES) -> FloatArray:
    """The day at which each curve falls to `level`, shape (n,); NaN when it stays above to the last edge."""
    reached = curves <= level
    first = np.where(reached.any(axis=1), reached.argmax(axis=1), 1)
    rows = np.arange(len(curves))
    before = np.log(np.maximum(curves[rows, first - 1], TINY))
    after = np.log(np.maximum(curves[rows, first], TINY))
    starts, ends = np.asarray(edges, dtype=np.float64)[[first - 1, first]]
    share = (before - np.log(level)) / np.maximum(before - after, TINY)
    return np.where(reached.any(axis=1), starts + np.clip(share, 0.0, 1.0) * (ends - starts), np.nan)


def kaplan_meier(duration_days: FloatArray, is_event: npt.NDArray[np.bool_], at: npt.ArrayLike) -> FloatArray:
    """The product-limit estimate of S at the days `at`, shape (len(at),); 1 when nobody is followed."""
    times = np.asarray(at, dtype=np.float64)
    if len(duration_days) == 0:
        return np.ones(len(times))
    order = np.argsort(duration_days, kind="stable")
    duration, event = duration_days[order], is_event[order]
    moments, first = np.unique(duration, return_index=True)
    deaths = np.add.reduceat(event.astype(np.float64), first)
    factors = 1.0 - deaths / (len(duration) - first)
    steps = np.concatenate([[1.0], np.cumprod(factors)])
    return np.asarray(steps[np.searchsorted(moments, times, side="right")], dtype=np.float64)
