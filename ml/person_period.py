"""From durations to person-period rows: one row per landmark and interval in which it was watched.

An interval counts only if the landmark was going to be watched to its end, whether or not the failure
came (`exposure_days`, type-I censoring known beforehand). Counting a failure in an interval that was cut
off, but not the survivors of the same interval, would overstate the hazard.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ml.days import FloatArray

IndexArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Labels:
    """What happened after each landmark; arrays of one length.

    Attributes:
        duration_days: days to the failure, the preventive replacement or the end of watching.
        is_event: whether the duration ends in a failure.
        exposure_days: days that the landmark was watched for by the calendar, failure or not.
    """

    duration_days: FloatArray
    is_event: BoolArray
    exposure_days: FloatArray

    def __len__(self) -> int:
        return len(self.duration_days)

    def take(self, chosen: BoolArray | IndexArray) -> "Labels":
        """The labels of some of the landmarks."""
        return Labels(self.duration_days[chosen], self.is_event[chosen], self.exposure_days[chosen])

    def outcome(self, days: float) -> tuple[BoolArray, BoolArray]:
        """Whether each landmark failed within `days`, and whether that is known.

        Unknown are landmarks that were not watched for so long, and those whose component was replaced
        preventively before: both failed and survived ones alike, so that the rest stays unbiased.
        """
        failed = self.is_event & (self.duration_days <= days)
        known = (self.exposure_days >= days) & (failed | (self.duration_days >= days))
        return failed, known


@dataclass(frozen=True, slots=True)
class PersonPeriods:
    """Rows for a classifier: which landmark, which interval, and whether it failed in it."""

    landmark: IndexArray
    interval: IndexArray
    is_event: BoolArray

    def __len__(self) -> int:
        return len(self.landmark)


def expand(labels: Labels, edges: tuple[int, ...]) -> PersonPeriods:
    """The person-period rows of the landmarks, by interval, then by landmark."""
    landmarks, intervals, events = [], [], []
    for interval, (start, end) in enumerate(pairwise(edges)):
        failed, known = labels.outcome(end)
        watched = np.flatnonzero(known & (labels.duration_days > start))
        landmarks.append(watched)
        intervals.append(np.full(len(watched), interval, dtype=np.int64))
        events.append(failed[watched])
    return PersonPeriods(np.concatenate(landmarks), np.concatenate(intervals), np.concatenate(events))
