"""A vehicle's daily odometer readings, from the mart."""

from dataclasses import dataclass
from datetime import date

from telematics.names import ANALYTICS_DATABASE
from warehouse.history.stores import HistoryStores


@dataclass(frozen=True, slots=True)
class OdometerReading:
    """The last odometer value of one day and source."""

    date: date
    odometer: float
    """Miles."""
    source: str
    """`gps_continuous` (counted by the tracker), `can` or `obd`."""
    is_primary: bool
    """The installation's one source."""


async def odometer_history(stores: HistoryStores, vin: str, start: date, end: date) -> list[OdometerReading]:
    """The vehicle's readings with start <= date < end, one per date and source, by date.

    Raises:
        UnavailableError: ClickHouse does not answer.
    """
    rows = await stores.clickhouse(
        f"select date, odometer, toString(source), is_primary from {ANALYTICS_DATABASE}.odometer_readings "
        "where vin = {vin:String} and date >= {start:Date} and date < {end:Date} order by date, source",
        {"vin": vin, "start": start.isoformat(), "end": end.isoformat()},
    )
    return [OdometerReading(row[0], float(row[1]), row[2], bool(row[3])) for row in rows]
