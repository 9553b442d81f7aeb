"""Ranges of IMEIs and VINs that keep lived, recorded and simulated vehicles apart for good.

Recorded and simulated devices have IMEIs with the type allocation code's reporting body `00` and a leading
1, `001…`, the range GSMA TS.06 sets aside for test equipment: no tracker on the road has one. Their VINs
begin with world manufacturer codes that nobody holds: a region digit 0 does not exist in ISO 3780.
"""

from typing import Final

from telematics.errors import ConfigurationError
from telematics.names import Origin

TEST_IMEI_PREFIX: Final = "001"

RESERVED_VIN_PREFIXES: Final = {Origin.RECORDED: "0VE", Origin.SIMULATED: "0SM"}
"""Manufacturer codes of vehicles that were recorded or simulated."""


class ReservedRangeError(ConfigurationError):
    """IMEI or VIN lie in the range of another origin than the one given."""


def check_ranges(imei: str, vin: str, origin: Origin) -> None:
    """Make sure that IMEI and VIN lie in the ranges of their origin.

    Raises:
        ReservedRangeError: they do not; the message names the range.
    """
    if origin is Origin.LIVE:
        if imei.startswith(TEST_IMEI_PREFIX):
            message = f"IMEIs that begin with {TEST_IMEI_PREFIX} are kept for recorded and simulated devices"
            raise ReservedRangeError(message)
        for owner, prefix in RESERVED_VIN_PREFIXES.items():
            if vin.startswith(prefix):
                message = f"VINs that begin with {prefix} are kept for {owner} vehicles"
                raise ReservedRangeError(message)
        return
    prefix = RESERVED_VIN_PREFIXES[origin]
    if not imei.startswith(TEST_IMEI_PREFIX) or not vin.startswith(prefix):
        message = f"a {origin} device has an IMEI that begins with {TEST_IMEI_PREFIX} and a VIN with {prefix}"
        raise ReservedRangeError(message)
