"""Days whose marts are behind: a backfill of telemetry was the last to load them.

Nothing needs to be remembered for it. A load writes into the day ledger whose run it was; the run that builds
a day's marts loads the day first, and the day is a backfill's no more.
"""

from datetime import date
from typing import Final

from telematics.settings import Settings
from warehouse import clients

RUN_PREFIX: Final = "backfill-"
"""What `day_loads.run_id` begins with for days that a backfill loaded last."""


def backfilled_days(settings: Settings) -> list[date]:
    """Those days, oldest first; days that have left for the archive since are not among them.

    Raises:
        UnavailableError: TimescaleDB does not answer.
    """
    with clients.timescale(settings) as connection:
        rows = connection.execute(
            "select day from day_loads where starts_with(run_id, %s) and warm_dropped_at is null "
            "order by day",
            [RUN_PREFIX],
        ).fetchall()
    return [day for (day,) in rows]
