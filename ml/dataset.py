"""The training set: landmark rows with what happened after them.

A landmark is a vehicle's feature row of a day; every `step_days`-th day is one, and whoever reads the rows
may thin them to such days beforehand (`is_landmark_day`). The set keeps all landmarks and
records, and can be seen `as_known_at` an earlier day: what a model could have learned then.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml.days import NO_DAY, DayArray, epoch_days, from_epoch_day, to_epoch_day
from ml.errors import TooFewFailuresError
from ml.features import BATTERY, BATTERY_FEATURES, check_frame
from ml.labels import Replacements, label, read_replacements
from ml.person_period import Labels

STEP_DAYS: Final = 14
"""Days between two landmarks of a vehicle."""
SILENCE_DAYS: Final = 60
"""A vehicle that sent nothing for longer is not watched any more: the longest outage of a device that comes
back (`models.md` 3.7) [A]. Shorter silence must not end it: a car stands while its battery is dead."""
MATURITY_DAYS: Final = 30
"""Days until a replacement is taken to have reached the books: six times the mean lag of 5 days [A]."""


def is_landmark_day(as_of: DayArray, step_days: int = STEP_DAYS) -> npt.NDArray[np.bool_]:
    """Which rows stand on landmark days: the first day of the table, then each at least `step_days` later.

    Rows that were thinned beforehand to every `step_days`-th day are all taken, whatever the first one is.
    """
    landmarks, due = [], NO_DAY
    for day in np.unique(as_of).tolist():
        if day >= due:
            landmarks.append(day)
            due = day + step_days
    return np.isin(as_of, landmarks)


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Landmarks and their labels, as known on one day.

    Attributes:
        landmarks: one row per vehicle and landmark, sorted: `vin`, `component`, `as_of`, `origin`, the
            features, `duration_days`, `is_event`, `exposure_days`.
        component: what fails.
        data_until: the day whose end is the limit of all knowledge in here.
        step_days: days between landmarks.
        maturity_days: how long before `data_until`, or before a silent vehicle is given up, watching ends.
        left_out: how many rows were not used, by reason.
        content_hash: SHA-256 of landmarks, labels and settings; the order of the input does not matter.
        candidates: every landmark before labels and blanking, for `as_known_at`, with the day on which its
            vehicle is given up, because nobody would learn of a failure any more (`given_up`).
        replacements: every record used.
    """

    landmarks: pd.DataFrame
    component: str
    data_until: date
    step_days: int
    maturity_days: int
    left_out: dict[str, int]
    content_hash: str
    candidates: pd.DataFrame
    replacements: Replacements

    @property
    def labels(self) -> Labels:
        """The labels of the landmarks."""
        rows = self.landmarks
        return Labels(
            rows["duration_days"].to_numpy(dtype=np.float64),
            rows["is_event"].to_numpy(dtype=np.bool_),
            rows["exposure_days"].to_numpy(dtype=np.float64),
        )

    @property
    def landmark_count(self) -> int:
        """Rows."""
        return len(self.landmarks)

    @property
    def vehicle_count(self) -> int:
        """Vehicles with a landmark."""
        return int(self.landmarks["vin"].nunique())

    @property
    def failure_count(self) -> int:
        """Failures that a landmark precedes, each counted once."""
        rows = self.landmarks[self.landmarks["is_event"]]
        failed = epoch_days(rows["as_of"]) + rows["duration_days"].to_numpy(dtype=np.int64)
        return len(pd.DataFrame({"vin": rows["vin"], "failed": failed}).drop_duplicates())

    @property
    def data_from(self) -> date:
        """Day of the first landmark."""
        return from_epoch_day(int(epoch_days(self.landmarks["as_of"]).min()))

    def as_known_at(self, day: date) -> "TrainingSet":
        """The set that could have been built at the end of an earlier day.

        Raises:
            TooFewFailuresError: no landmark had been watched by then.
        """
        limit = to_epoch_day(day)
        past = self.candidates[epoch_days(self.candidates["as_of"]) < limit]
        return _assemble(
            past,
            self.replacements.known_by(limit),
            self.component,
            day,
            self.step_days,
            self.maturity_days,
            {},
        )

    def trained_on(self) -> dict[str, Any]:
        """What every prediction says of its model's data."""
        return {
            "origins": sorted(self.landmarks["origin"].unique().tolist()),
            "vehicle_count": self.vehicle_count,
            "failure_count": self.failure_count,
            "landmark_count": self.landmark_count,
            "data_from": self.data_from.isoformat(),
            "data_until": self.data_until.isoformat(),
            "data_hash": self.content_hash,
        }


def build_training_set(
    features: pd.DataFrame,
    service_records: pd.DataFrame,
    *,
    data_until: date,
    step_days: int = STEP_DAYS,
    maturity_days: int = MATURITY_DAYS,
    silence_days: int = SILENCE_DAYS,
) -> TrainingSet:
    """Landmarks with labels from feature rows and service records.

    Args:
        features: rows of `ftr_component_days`, all days or only landmark days (`check_frame`). Rows of
            several origins are taken as they are: whoever reads them asks for the mixture.
        service_records: rows of `service_records`; those of unknown vehicles, of the future and of other
            components are left out and counted.
        data_until: the last complete day of the data; nothing later counts.
        step_days: days between landmarks.
        maturity_days: how late a record may come.
        silence_days: how long after its last signal a vehicle still counts as watched.

    Raises:
        FeatureFrameError: a table is not as it must be.
        LeakageError: a feature row knows the future.
        TooFewFailuresError: no landmark is left.
    """
    checked = check_frame(features)
    limit = to_epoch_day(data_until)
    days = epoch_days(checked["as_of"])
    is_battery = (checked["component"] == BATTERY).to_numpy()
    is_past = days <= limit
    is_landmark = is_landmark_day(days, step_days)
    has_data = (checked["valid_days_90d"].fillna(0) > 0).to_numpy()
    chosen = is_battery & is_past & is_landmark
    left_out = {
        "rows_of_other_components": int((~is_battery).sum()),
        "rows_after_the_data": int((is_battery & ~is_past).sum()),
        "days_between_landmarks": int((is_battery & is_past & ~is_landmark).sum()),
        "landmarks_without_a_start_in_90_days": int((chosen & ~has_data).sum()),
    }
    replacements, records_left_out = read_replacements(
        service_records, BATTERY, checked["vin"].unique(), limit
    )
    checked["given_up"] = _newest_known(checked["vin"], features["newest_known_at"]) + silence_days
    candidates = checked[chosen & has_data].sort_values(["vin", "as_of"], kind="stable")
    return _assemble(
        candidates, replacements, BATTERY, data_until, step_days, maturity_days, left_out | records_left_out
    )


def shuffle_labels(training_set: TrainingSet, seed: int) -> TrainingSet:
    """The same landmarks with the records of another vehicle each: a canary that every gate must refuse.

    Raises:
        TooFewFailuresError: nothing is left, as in `build_training_set`.
    """
    vins = training_set.candidates["vin"].unique()
    shuffled = np.random.default_rng(seed).permutation(vins)
    other = dict(zip(vins, shuffled, strict=True))
    records = training_set.replacements
    vin = np.array([other[name] for name in records.vin], dtype=object)
    order = np.lexsort((records.performed, vin.astype(str)))
    moved = Replacements(
        vin[order], records.performed[order], records.recorded[order], records.is_preventive[order]
    )
    return _assemble(
        training_set.candidates,
        moved,
        training_set.component,
        training_set.data_until,
        training_set.step_days,
        training_set.maturity_days,
        {},
    )


def _assemble(
    candidates: pd.DataFrame,
    replacements: Replacements,
    component: str,
    data_until: date,
    step_days: int,
    maturity_days: int,
    left_out: dict[str, int],
) -> TrainingSet:
    as_of = epoch_days(candidates["as_of"])
    # another vehicle's newer data say nothing about one that is no longer heard
    given_up = candidates["given_up"].to_numpy(dtype=np.int64)
    watched_until = np.minimum(to_epoch_day(data_until), given_up) - maturity_days
    labels, is_blanked = label(candidates["vin"].to_numpy(dtype=object), as_of, replacements, watched_until)
    is_watched = labels.exposure_days > 0
    kept = is_watched & ~is_blanked
    landmarks = candidates[kept].drop(columns="given_up").reset_index(drop=True)
    landmarks["duration_days"] = labels.duration_days[kept]
    landmarks["is_event"] = labels.is_event[kept]
    landmarks["exposure_days"] = labels.exposure_days[kept]
    if landmarks.empty:
        message = (
            f"no landmark before {data_until} has been watched for a day beyond the {maturity_days} days "
            "in which records still come: load a longer history"
        )
        raise TooFewFailuresError(message)
    counts = left_out | {
        "landmarks_not_yet_watched": int((~is_watched).sum()),
        "landmarks_blanked": int((is_watched & is_blanked).sum()),
    }
    settings = {
        "component": component,
        "data_until": data_until.isoformat(),
        "step_days": step_days,
        "maturity_days": maturity_days,
    }
    return TrainingSet(
        landmarks=landmarks,
        component=component,
        data_until=data_until,
        step_days=step_days,
        maturity_days=maturity_days,
        left_out=counts,
        content_hash=_content_hash(landmarks, settings),
        candidates=candidates,
        replacements=replacements,
    )


def _newest_known(vin: pd.Series, newest_known_at: pd.Series) -> DayArray:
    """The last day on which anything of each row's vehicle became known, since the epoch."""
    known = np.maximum(epoch_days(newest_known_at), 0)  # never: as long ago as can be
    newest: DayArray = pd.Series(known).groupby(vin.to_numpy()).transform("max").to_numpy(dtype=np.int64)
    return newest


def _content_hash(landmarks: pd.DataFrame, settings: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name in ("vin", "origin"):
        digest.update("\n".join(landmarks[name]).encode())
    digest.update(epoch_days(landmarks["as_of"]).tobytes())
    for name in (*BATTERY_FEATURES, "duration_days", "is_event", "exposure_days"):
        values = landmarks[name].to_numpy(dtype=np.float64)
        # one bit pattern for every NaN and for both zeros
        values = np.where(np.isnan(values), np.nan, values + 0.0)
        digest.update(name.encode() + values.tobytes())
    return digest.hexdigest()
