"""The simulator's truth, for evaluation only: true risks per vehicle and day, and true failures."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml.days import NO_DAY, DayArray, FloatArray, epoch_days
from ml.errors import FeatureFrameError
from ml.labels import VIN_STRIDE
from ml.person_period import BoolArray


@dataclass(frozen=True, slots=True)
class Oracle:
    """What the simulator knows.

    Attributes:
        days: `vin`, `date` (the as_of), `risk_30`, `risk_90`: P(failure in (as_of, as_of + h]) given the
            latent state (`oracle/battery_days.parquet`).
        failures: `vin`, `failed_on`, `replaced_on` (`oracle/failures.parquet`).
    """

    days: pd.DataFrame
    failures: pd.DataFrame

    def risks(self, frame: pd.DataFrame, days: int) -> FloatArray:
        """The true risk of each row; NaN where the oracle has no such vehicle and day.

        Raises:
            FeatureFrameError: the oracle's tables lack a column.
        """
        column = f"risk_{days}"
        _require(self.days, ("vin", "date", column), "battery_days")
        known = pd.Series(
            self.days[column].to_numpy(dtype=np.float64),
            index=pd.MultiIndex.from_arrays([self.days["vin"], epoch_days(self.days["date"])]),
        )
        wanted = pd.MultiIndex.from_arrays([frame["vin"], epoch_days(frame["as_of"])])
        return np.asarray(known.reindex(wanted).to_numpy(dtype=np.float64), dtype=np.float64)

    def outcomes(self, frame: pd.DataFrame, days: int) -> tuple[BoolArray, BoolArray]:
        """Whether each row's component truly failed within `days`, and whether it was alive at the row's day.

        Raises:
            FeatureFrameError: the oracle's tables lack a column.
        """
        _require(self.failures, ("vin", "failed_on", "replaced_on"), "failures")
        vehicles = pd.Index(np.unique(frame["vin"].to_numpy().astype(str)))
        failures = self.failures[self.failures["vin"].isin(vehicles)]
        code = vehicles.get_indexer(failures["vin"].to_numpy().astype(str))
        failed = code * VIN_STRIDE + epoch_days(failures["failed_on"])
        order = np.argsort(failed, kind="stable")
        failed, code = failed[order], code[order]
        end = epoch_days(failures["replaced_on"])[order]
        replaced = code * VIN_STRIDE + np.where(end == NO_DAY, VIN_STRIDE - 1, end)
        of_row: DayArray = vehicles.get_indexer(frame["vin"].to_numpy().astype(str)) * VIN_STRIDE
        now = of_row + epoch_days(frame["as_of"])
        following = np.searchsorted(failed, now, side="right")
        soon = np.append(failed, np.iinfo(np.int64).max)[following] <= now + days
        standing = np.append(np.int64(-1), replaced)[following] > now
        is_same = np.append(np.int64(-1), code)[following] * VIN_STRIDE == of_row
        return soon, ~(standing & is_same)


def _require(frame: pd.DataFrame, columns: tuple[str, ...], name: str) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        message = f"the oracle's {name} lacks {', '.join(missing)}: use the folder that the simulator wrote"
        raise FeatureFrameError(message)
