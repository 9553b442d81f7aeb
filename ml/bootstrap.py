"""Intervals by drawing vehicles, not rows: the landmarks of one vehicle are no independent witnesses.

Every figure is computed once per resample from weights, so that a thousand resamples are matrix products.
Row 0 of all weights is the sample itself, which yields the point beside its interval.
"""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.days import FloatArray

CHUNK_CELLS = 4_000_000
"""Weights held at a time when rows are weighted one by one: 32 MB."""
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its 95 % interval over resampled vehicles; NaN where it is not defined."""

    point: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.point:.4g} [{self.low:.4g}, {self.high:.4g}]"


class ClusterBootstrap:
    """Multinomial weights of the vehicles.

    Args:
        vins: the vehicle of each row.
        resamples: how often the vehicles are drawn.
        seed: of the draws.
    """

    def __init__(self, vins: npt.ArrayLike, *, resamples: int, seed: int) -> None:
        codes, vehicles = pd.factorize(np.asarray(vins, dtype=object))
        self.codes: npt.NDArray[np.int64] = np.asarray(codes, dtype=np.int64)
        count = max(len(vehicles), 1)
        drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
        self.weights: FloatArray = np.vstack([np.ones(count), drawn]).astype(np.float64)

    def only(self, chosen: npt.NDArray[np.bool_]) -> "ClusterBootstrap":
        """The same draws of the same vehicles over some of the rows."""
        view = copy(self)
        view.codes = self.codes[chosen]
        return view

    def sums(self, values: FloatArray) -> FloatArray:
        """Weighted sum over the rows for each resample, shape (resamples + 1,)."""
        per_vehicle = np.bincount(self.codes, weights=values, minlength=self.weights.shape[1])
        return np.asarray(self.weights @ per_vehicle, dtype=np.float64)

    def row_weights(self, order: npt.NDArray[np.int64]) -> Iterator[FloatArray]:
        """Weights of the rows in the given order, in chunks of resamples."""
        codes = self.codes[order]
        step = max(1, CHUNK_CELLS // max(len(codes), 1))
        for start in range(0, len(self.weights), step):
            yield self.weights[start : start + step, codes]


def summarize(values: FloatArray) -> Figure:
    """The figure of the values of one statistic: the point first, then one of each resample."""
    resampled = values[1:][np.isfinite(values[1:])]
    if len(resampled) == 0:
        return Figure(float(values[0]), float("nan"), float("nan"))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Figure(float(values[0]), float(low), float(high))
