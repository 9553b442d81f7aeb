"""Speed over time on one trip: from stop to stop, speeding up, cruising, braking, waiting.

The speed is a straight line between knots, so distance is exact at any moment: parabolas.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_KPH_PER_MPS: Final = 3.6
_CRUISE_KPH: Final = (28.0, 80.0)
_LEG_M: Final = (180.0, 1_800.0)
_WAIT_S: Final = (2.0, 45.0)
# calm driving: nobody brakes or speeds up harshly
_SPEEDING_UP_MPS2: Final = (0.8, 1.9)
_BRAKING_MPS2: Final = (0.9, 2.4)
_START_WAIT_S: Final = (4.0, 25.0)
"""Between ignition and first movement, and between last movement and ignition off."""
_SHORTEST_LEG_S: Final = 10.0
"""No leg with its wait is shorter: 180 m at the fastest cruise, by far."""


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """A trip's speed profile.

    Attributes:
        knot_s: times since the trip's start, ascending; the trip ends with the last.
        knot_mps: speed at each.
        knot_m: way made until each.
    """

    knot_s: Floats
    knot_mps: Floats
    knot_m: Floats

    @classmethod
    def draw(cls, random: np.random.Generator, target_s: float, cruise_factor: float) -> Self:
        """Legs until the target is reached; the trip ends at the stop behind it."""
        count = int(target_s / _SHORTEST_LEG_S) + 1
        leg_m = random.uniform(*_LEG_M, count)
        cruise_mps = random.uniform(*_CRUISE_KPH, count) * cruise_factor / _KPH_PER_MPS
        gain, loss = random.uniform(*_SPEEDING_UP_MPS2, count), random.uniform(*_BRAKING_MPS2, count)
        # a leg too short for its cruise speed peaks at sqrt(2·leg·gain·loss/(gain+loss))
        peak_mps = np.minimum(cruise_mps, np.sqrt(2 * leg_m * gain * loss / (gain + loss)))
        ramps_m = peak_mps**2 / 2 * (1 / gain + 1 / loss)
        gaps_s = np.stack(
            (
                random.uniform(*_WAIT_S, count),
                peak_mps / gain,
                np.maximum(leg_m - ramps_m, 0.0) / peak_mps,
                peak_mps / loss,
            ),
            axis=1,
        )
        gaps_s[0, 0] = random.uniform(*_START_WAIT_S)
        legs = int(np.searchsorted(np.cumsum(gaps_s.sum(axis=1)), target_s)) + 1
        gaps_s = gaps_s[:legs]
        speeds = np.zeros((len(gaps_s), 4))
        speeds[:, 1] = speeds[:, 2] = peak_mps[:legs]
        steps_s = np.append(gaps_s.ravel(), random.uniform(*_START_WAIT_S))
        knot_mps = np.concatenate(([0.0], speeds.ravel(), [0.0]))
        steps_m = (knot_mps[1:] + knot_mps[:-1]) / 2 * steps_s
        return cls(
            np.concatenate(([0.0], np.cumsum(steps_s))),
            knot_mps,
            np.concatenate(([0.0], np.cumsum(steps_m))),
        )

    @classmethod
    def of_trip(cls, random: np.random.Generator, duration_s: float, distance_m: float) -> Self:
        """A trip of just this duration and distance: one that was drawn, stretched in time and in speed."""
        drawn = cls.draw(random, duration_s, 1.0)
        slower = duration_s / drawn.duration_s
        further = distance_m / drawn.distance_m
        return cls(drawn.knot_s * slower, drawn.knot_mps * further / slower, drawn.knot_m * further)

    @property
    def duration_s(self) -> float:
        """From ignition on to ignition off."""
        return float(self.knot_s[-1])

    @property
    def distance_m(self) -> float:
        """Of the whole trip."""
        return float(self.knot_m[-1])

    def speeds_mps(self, seconds: Floats) -> Floats:
        """Speeds at these times since the start; 0 before and after the trip."""
        return np.interp(seconds, self.knot_s, self.knot_mps)

    def distances_m(self, seconds: Floats) -> Floats:
        """Way made until these times since the start."""
        seconds = np.clip(seconds, 0.0, self.duration_s)
        knot = np.clip(np.searchsorted(self.knot_s, seconds, "right") - 1, 0, len(self.knot_s) - 2)
        since_s = seconds - self.knot_s[knot]
        mean_mps = (self.knot_mps[knot] + self.speeds_mps(seconds)) / 2
        way: Floats = self.knot_m[knot] + mean_mps * since_s
        return way
