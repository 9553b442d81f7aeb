"""One read across tiers, for one vehicle or for many.

    stores = await HistoryStores.open(settings)
    page = await read(stores, vin, start, end, limit=1000)
    while page.next is not None:
        page = await read(stores, vin, start, end, limit=1000, after=page.next)

The ledger says which tier holds which day; records come in one order and carry the same values whatever
tier they come from, and so do buckets of a minute, an hour or a day (`aggregates.py`). Whether the caller may
see the vehicles is decided before.
"""

from warehouse.archive.errors import DamagedError
from warehouse.history.aggregates import AGGREGATES, DATA_POINTS
from warehouse.history.cursor import InvalidCursorError
from warehouse.history.fields import FIELDS, Record
from warehouse.history.odometer import OdometerReading, odometer_history
from warehouse.history.reader import FleetPage, Page, VehiclePart, read, read_fleet
from warehouse.history.resolution import Resolution
from warehouse.history.stores import HistoryStores
from warehouse.history.tiers import Tier

__all__ = [
    "AGGREGATES",
    "DATA_POINTS",
    "FIELDS",
    "DamagedError",
    "FleetPage",
    "HistoryStores",
    "InvalidCursorError",
    "OdometerReading",
    "Page",
    "Record",
    "Resolution",
    "Tier",
    "VehiclePart",
    "odometer_history",
    "read",
    "read_fleet",
]
