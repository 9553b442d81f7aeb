"""Calendar columns as whole numbers: days since 1970-01-01 (UTC)."""

from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

DayArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

EPOCH = date(1970, 1, 1)
NO_DAY = np.iinfo(np.int64).min
"""What a missing date becomes; smaller than every day."""
DAYS_PER_YEAR = 365.25


def epoch_days(column: pd.Series) -> DayArray:
    """Days since 1970-01-01 of dates or timestamps (zoned ones in UTC); missing becomes NO_DAY."""
    moments = pd.to_datetime(column, utc=True)
    stamps = moments.dt.tz_localize(None).to_numpy(dtype="datetime64[D]")
    days = np.asarray(stamps.astype(np.int64), dtype=np.int64)
    return np.where(np.isnat(stamps), NO_DAY, days)


def to_epoch_day(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


def from_epoch_day(day: int) -> date:
    """The date of a count of days since 1970-01-01."""
    return EPOCH + timedelta(days=int(day))


def season(days: npt.NDArray[np.float64] | DayArray) -> tuple[FloatArray, FloatArray]:
    """Sine and cosine of the time of the year of days since the epoch, as `season_sin` and `season_cos`."""
    angle = 2 * np.pi * np.mod(np.asarray(days, dtype=np.float64), DAYS_PER_YEAR) / DAYS_PER_YEAR
    return np.sin(angle), np.cos(angle)
