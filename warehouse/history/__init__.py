"""One read across tiers for one vehicle.

    stores = await HistoryStores.open(settings)
    page = await read(stores, vin, start, end, limit=1000)
    while page.next is not None:
        page = await read(stores, vin, start, end, limit=1000, after=page.next)

The ledger says which tier holds which day; records come in one order and carry the same values whatever
tier they come from. Whether the caller may see the vehicle is decided before.
"""

from warehouse.archive.errors import DamagedError
from warehouse.history.cursor import InvalidCursorError
from warehouse.history.fields import FIELDS, Record
from warehouse.history.odometer import OdometerReading, odometer_history
from warehouse.history.reader import Page, read
from warehouse.history.stores import HistoryStores
from warehouse.history.tiers import Tier

__all__ = [
    "FIELDS",
    "DamagedError",
    "HistoryStores",
    "InvalidCursorError",
    "OdometerReading",
    "Page",
    "Record",
    "Tier",
    "odometer_history",
    "read",
]
