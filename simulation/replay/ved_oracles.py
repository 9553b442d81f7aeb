"""What the twelve recordings hold, measured on the files themselves and not by this system.

Rule of the distance by speed: trapezoid over the rows of one recorded trip in time order, steps longer than
60 s left out. The replay's whole way through the system is judged against these figures.
"""

from typing import Final, NamedTuple


class VedOracle(NamedTuple):
    """Contents of one recorded vehicle."""

    vehicle_id: int
    trips: int
    rows: int
    speed_km: float
    """Distance by speed integral."""
    gps_km: float
    """Distance by great circles between consecutive rows (R = 6371.0088 km)."""


VED_ORACLES: Final = (
    VedOracle(323, 208, 221_962, 1466.7, 1479.3),
    VedOracle(371, 389, 351_393, 2515.1, 2524.2),
    VedOracle(418, 185, 189_976, 1747.4, 1791.2),
    VedOracle(450, 404, 362_712, 2626.2, 2688.4),
    VedOracle(455, 293, 303_824, 1569.0, 1539.7),
    VedOracle(458, 320, 203_264, 1950.8, 2005.0),
    VedOracle(465, 211, 222_301, 1560.5, 1606.8),
    VedOracle(484, 220, 227_493, 1844.1, 1885.6),
    VedOracle(488, 216, 246_159, 2434.9, 2454.9),
    VedOracle(531, 478, 381_876, 2029.7, 2043.6),
    VedOracle(575, 356, 321_097, 2067.6, 2095.0),
    VedOracle(597, 135, 183_158, 1890.9, 1898.9),
)
