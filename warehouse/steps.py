"""The steps in which devices measure: numbers that the warehouse keeps as the integers they were sent as.

An AVL record has positions in 1e-7 degrees, speeds in km/h, altitudes in metres, voltages in millivolts. The
hot tier turns them into the blueprint's units, floating-point numbers whose digits are mostly those of the
conversion: as such they take up to twice the bytes of the integers, whatever the codec (decision 20). So
ClickHouse and the archive keep the integer wherever it gives the very bits of the value, and the value itself
only where it does not (a partner's reading may have any digits). What is read is always the blueprint's
column.

`Step` is the one definition; `warehouse.stored` makes ClickHouse's expressions of it, `warehouse.archive.
derived` Parquet's. The rule is a kept integer's meaning for ten years: it is never changed, only added to.
"""

from typing import Final, NamedTuple

from telematics.units import METRES_PER_FOOT, METRES_PER_MILE


class Step(NamedTuple):
    """A column of floating-point numbers, and the integers that it is kept as.

    A value is `kept * factor / divisor`, multiplied as integers, divided as 64-bit numbers, and rounded to 32
    bits if the column has so many: what the sink does with the integer of a record.
    """

    name: str
    """The column."""
    kept: str
    """The column of integers in its place; the unit is in its name."""
    kept_type: str
    """ClickHouse's, without `Nullable`."""
    divisor: float
    factor: int = 1
    is_single: bool = True
    """Float32; Float64 otherwise."""

    @property
    def value_type(self) -> str:
        """ClickHouse's type of the column, without `Nullable`."""
        return "Float32" if self.is_single else "Float64"


STEPS: Final = (
    Step("lat", "lat_e7", "Int32", 1e7, is_single=False),  # 1e-7 degrees
    Step("lng", "lng_e7", "Int32", 1e7, is_single=False),  # 1e-7 degrees
    Step("speed_mph", "speed_kph", "UInt16", METRES_PER_MILE, 1000),  # km/h
    Step("altitude_ft", "altitude_m", "Int16", METRES_PER_FOOT),  # metres
    Step("battery_v", "battery_mv", "Int32", 1000.0),  # millivolts
    Step("hdop", "hdop_tenths", "UInt16", 10.0),  # tenths
    Step("maf_gps", "maf_cgps", "UInt16", 100.0),  # hundredths of a gram per second
    Step("crank_v", "crank_mv", "Int32", 1000.0),  # millivolts
    Step("charge_v", "charge_mv", "Int32", 1000.0),  # millivolts
)
"""In the order of the columns."""

BY_NAME: Final = {step.name: step for step in STEPS}
