"""What happened after each landmark, from the service records known at a moment.

- A failure is a replacement whose reason is not 'preventive'; a preventive one ends the watching.
- Watching ends `maturity_days` before the data do, because a replacement reaches the books late
  (`models.md` 1.2, 5).
- Landmarks between a replacement and its booking are blanked: the new component's signals would carry
  the label of the old one (`models.md` 1.3).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from ml.days import DayArray, epoch_days
from ml.errors import FeatureFrameError
from ml.person_period import BoolArray, Labels

RECORD_COLUMNS: Final = ("vin", "component", "kind", "performed_on", "recorded_at", "reason")
REPLACEMENT: Final = "replacement"
PREVENTIVE: Final = "preventive"
VIN_STRIDE: Final = 1 << 20
"""Room for the days of one vehicle in a joint key of vehicle and day; more than 2,800 years."""


@dataclass(frozen=True, slots=True)
class Replacements:
    """Replacements of one component, sorted by vehicle and day; arrays of one length, days since 1970."""

    vin: np.ndarray
    performed: DayArray
    recorded: DayArray
    is_preventive: BoolArray

    def __len__(self) -> int:
        return len(self.performed)

    def known_by(self, day: int) -> "Replacements":
        """Those that were performed and booked by the end of the UTC day."""
        known = (self.recorded <= day) & (self.performed <= day)
        return Replacements(
            self.vin[known], self.performed[known], self.recorded[known], self.is_preventive[known]
        )


def read_replacements(
    records: pd.DataFrame, component: str, vins: np.ndarray, data_until: int
) -> tuple[Replacements, dict[str, int]]:
    """The component's replacements among the service records, and what was left out and why.

    Args:
        records: RECORD_COLUMNS.
        component: whose records are wanted.
        vins: the vehicles that have features.
        data_until: last day of the data, since the epoch; later records are no knowledge yet.

    Raises:
        FeatureFrameError: a column is missing.
    """
    missing = [name for name in RECORD_COLUMNS if name not in records.columns]
    if missing:
        message = f"the service records lack the columns {', '.join(missing)}: read them from the warehouse"
        raise FeatureFrameError(message)
    wanted = records[(records["component"] == component) & (records["kind"] == REPLACEMENT)]
    wanted = wanted.assign(
        performed=epoch_days(wanted["performed_on"]), recorded=epoch_days(wanted["recorded_at"])
    )
    known_vin = wanted["vin"].isin(pd.Index(vins))
    past = (wanted["performed"] <= data_until) & (wanted["recorded"] <= data_until)
    kept = wanted[known_vin & past].sort_values(["vin", "performed", "recorded"], kind="stable")
    repeated = kept.duplicated(["vin", "performed"])
    left_out = {
        "records_of_other_kinds": len(records) - len(wanted),
        "records_of_unknown_vehicles": int((~known_vin).sum()),
        "records_after_the_data": int((known_vin & ~past).sum()),
        "repeated_records": int(repeated.sum()),
    }
    kept = kept[~repeated]
    replacements = Replacements(
        vin=kept["vin"].to_numpy(dtype=object),
        performed=kept["performed"].to_numpy(dtype=np.int64),
        recorded=kept["recorded"].to_numpy(dtype=np.int64),
        is_preventive=(kept["reason"] == PREVENTIVE).to_numpy(dtype=np.bool_),
    )
    return replacements, left_out


def label(
    vin: np.ndarray, as_of: DayArray, replacements: Replacements, watched_until: DayArray | int
) -> tuple[Labels, BoolArray]:
    """The labels of landmarks, and which of them are blanked.

    Args:
        vin: vehicle of each landmark.
        as_of: day of each landmark, since the epoch.
        replacements: those known.
        watched_until: last day on which a failure would have been seen, of each landmark or of all.
    """
    vehicles = pd.Index(np.unique(np.concatenate([vin, replacements.vin]).astype(str)))
    of_landmark = vehicles.get_indexer(vin.astype(str)) * VIN_STRIDE
    keys = vehicles.get_indexer(replacements.vin.astype(str)) * VIN_STRIDE + replacements.performed
    position = np.searchsorted(keys, of_landmark + as_of, side="right")

    following = np.minimum(position, max(len(keys) - 1, 0))
    exposure = (watched_until - as_of).astype(np.float64)
    if len(keys) == 0:
        nothing = np.zeros(len(as_of), dtype=np.bool_)
        return Labels(exposure, nothing, exposure), nothing
    has_next = (position < len(keys)) & (keys[following] // VIN_STRIDE == of_landmark // VIN_STRIDE)
    wait = (replacements.performed[following] - as_of).astype(np.float64)
    ended = has_next & (wait <= exposure)
    labels = Labels(
        duration_days=np.where(ended, wait, exposure),
        is_event=ended & ~replacements.is_preventive[following],
        exposure_days=exposure,
    )
    before = np.maximum(position - 1, 0)
    has_previous = (position > 0) & (keys[before] // VIN_STRIDE == of_landmark // VIN_STRIDE)
    is_blanked = has_previous & (replacements.recorded[before] > as_of)
    return labels, is_blanked
