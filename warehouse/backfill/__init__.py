"""Load a history (`piston backfill PATH`), exactly once.

telemetry   records, row by row, from any files
days        loaded days whose marts are behind

All else is about folders that `piston simulate fleet --out` wrote:

errors     what refuses a folder
schema     the files and their columns
folder     a folder that is whole: every file there, as its manifest says, with the right columns
rules      which rows are set aside, and why
rejects    rows that were set aside, as the ledger keeps them
ledger     the load's rows in PostgreSQL: what it is about, vehicles, service records
signals    the load's partition and its mark in ClickHouse
loading    the steps of a load, and their order
"""

from warehouse.backfill.errors import FolderError, VehicleOriginError
from warehouse.backfill.loading import BackfillReport, Step, backfill

__all__ = ["BackfillReport", "FolderError", "Step", "VehicleOriginError", "backfill"]
