"""A closed loop around a point: place, heading and altitude at each distance along it.

A circle whose radius swells and shrinks with two waves, cut into straight pieces of some ten metres. The
earth is flat at this size: a degree of latitude has the same length everywhere on the loop.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_PIECES: Final = 4_096
_METRES_PER_DEGREE: Final = 111_195.08
"""Of latitude, on a sphere of 6371.0088 km."""
_WAVES: Final = (2, 3)
_WAVE_SHARE: Final = (0.05, 0.2)
_ALTITUDE_M: Final = (35.0, 90.0)


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """A loop; corner 0 and the last corner are the same place.

    Attributes:
        along_m: way from the start to each corner; the last is the loop's length.
        latitude_deg: of each corner.
        longitude_deg: of each corner.
        altitude_m: of each corner.
    """

    along_m: Floats
    latitude_deg: Floats
    longitude_deg: Floats
    altitude_m: Floats

    @classmethod
    def around(
        cls, latitude_deg: float, longitude_deg: float, *, radius_m: float, random: np.random.Generator
    ) -> Self:
        """A loop of about this radius around a place, its shape drawn from `random`."""
        turn = np.linspace(0.0, 2 * np.pi, _PIECES + 1)
        shape = np.ones_like(turn)
        for wave in _WAVES:
            shape += random.uniform(*_WAVE_SHARE) * np.sin(wave * turn + random.uniform(0, 2 * np.pi))
        east_m, north_m = radius_m * shape * np.sin(turn), radius_m * shape * np.cos(turn)
        for metres in (east_m, north_m):
            metres[-1] = metres[0]  # closed to the last bit
        lowest, highest = _ALTITUDE_M
        hills = (1 + np.sin(turn + random.uniform(0, 2 * np.pi))) / 2
        steps_m = np.hypot(np.diff(east_m), np.diff(north_m))
        return cls(
            np.concatenate(([0.0], np.cumsum(steps_m))),
            latitude_deg + north_m / _METRES_PER_DEGREE,
            longitude_deg + east_m / (_METRES_PER_DEGREE * np.cos(np.radians(latitude_deg))),
            lowest + (highest - lowest) * hills,
        )

    @property
    def length_m(self) -> float:
        """Once round."""
        return float(self.along_m[-1])

    def positions_deg(self, distance_m: Floats) -> tuple[Floats, Floats]:
        """Latitudes and longitudes after these distances, round after round."""
        along = distance_m % self.length_m
        return (
            np.interp(along, self.along_m, self.latitude_deg),
            np.interp(along, self.along_m, self.longitude_deg),
        )

    def altitudes_m(self, distance_m: Floats) -> Floats:
        """Altitudes after these distances."""
        return np.interp(distance_m % self.length_m, self.along_m, self.altitude_m)

    def headings_deg(self, distance_m: Floats) -> Floats:
        """Direction of travel there, degrees clockwise from north in [0, 360)."""
        east = np.diff(self.longitude_deg) * np.cos(np.radians(self.latitude_deg[0]))
        headings = np.degrees(np.arctan2(east, np.diff(self.latitude_deg))) % 360
        piece = np.searchsorted(self.along_m, distance_m % self.length_m, "right") - 1
        found: Floats = headings[np.clip(piece, 0, _PIECES - 1)]
        return found
