"""The fleet as a yardstick: medians and quantiles of every feature by month of the year.

Kept with the model, so that a vehicle's evidence does not depend on who else is scored that day. By month,
because a crank voltage that is common in January is alarming in July.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.days import FloatArray, epoch_days

LEVELS: Final = np.linspace(0.0, 1.0, 101)
MIN_ROWS: Final = 200
"""Months with fewer values of a feature borrow the whole year's quantiles."""


def month_index(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    """0 for January to 11 of each row's `as_of`."""
    months = epoch_days(frame["as_of"]).astype("datetime64[D]").astype("datetime64[M]")
    return np.asarray(months.astype(np.int64) % 12, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class FleetReference:
    """Quantiles of the training landmarks.

    Attributes:
        features: names, in order.
        quantiles: shape (12, features, 101), at the levels 0, 0.01 … 1; NaN when never seen.
    """

    features: tuple[str, ...]
    quantiles: FloatArray

    @classmethod
    def of(cls, frame: pd.DataFrame, features: tuple[str, ...]) -> Self:
        """The quantiles of the rows of a table."""
        months = month_index(frame)
        quantiles = np.full((12, len(features), len(LEVELS)), np.nan)
        for position, name in enumerate(features):
            values = frame[name].to_numpy(dtype=np.float64)
            is_seen = ~np.isnan(values)
            if not is_seen.any():
                continue
            whole_year = np.quantile(values[is_seen], LEVELS)
            for month in range(12):
                inside = values[is_seen & (months == month)]
                quantiles[month, position] = (
                    np.quantile(inside, LEVELS) if len(inside) >= MIN_ROWS else whole_year
                )
        return cls(features, quantiles)

    def medians(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The fleet's median of every feature in each row's month, as a table like the rows'."""
        middle = self.quantiles[month_index(frame)][:, :, len(LEVELS) // 2]
        return pd.DataFrame(middle, columns=list(self.features), index=frame.index)

    def quantile_of(self, frame: pd.DataFrame, feature: str) -> FloatArray:
        """Where each row stands in its month's fleet, 0 lowest to 1 highest; NaN when not known."""
        grid = self.quantiles[month_index(frame), self.features.index(feature)]
        values = frame[feature].to_numpy(dtype=np.float64)[:, None]
        below, not_above = (grid < values).sum(axis=1), (grid <= values).sum(axis=1)
        is_known = ~np.isnan(values[:, 0]) & ~np.isnan(grid[:, 0])
        return np.where(is_known, (below + not_above) / 2 / len(LEVELS), np.nan)

    def as_document(self) -> dict[str, Any]:
        """As plain JSON values."""
        values = self.quantiles.astype(object)
        values[np.isnan(self.quantiles)] = None
        return {"features": list(self.features), "quantiles": values.tolist()}

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """From what `as_document` made."""
        return cls(tuple(document["features"]), np.asarray(document["quantiles"], dtype=np.float64))
