"""The second look after a device changed cars: rows that sinks stored before they knew.

A sink remembers installations for `LIFETIME_S`, so what it stores just after a change may still name the old
car. Three steps find all of it:

1. wait until every sink has read the registry anew, with a margin for the batch that it decodes just then;
2. wait until every transaction that was writing at that moment has ended, however slow it is;
3. `restamp` once more.

Limit: a sink that was suspended (SIGSTOP, a frozen virtual machine) for longer than the margin between
reading the registry and opening its transaction is not waited for. The warehouse finds each row's vehicle
anew, so its days are right even then.
"""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from ingest.registry.moving import restamp
from ingest.registry.repository import Connection
from ingest.registry_cache import LIFETIME_S
from telematics.errors import UnavailableError

_MARGIN_S: Final = 2.0
"""From reading the registry to opening its transaction a sink only decodes one batch."""
_POLL_S: Final = 0.25
_PATIENCE_S: Final = 60.0
"""Sinks wait no longer for a lock, and no longer than half of it in the middle of a transaction."""

# A number of our own: a snapshot's upper bound follows the last transaction that ended, not that began.
_OWN_NUMBER: Final = "select pg_current_xact_id()::text"
_OLDER_ENDED: Final = "select pg_snapshot_xmin(pg_current_snapshot()) >= %s::xid8"


def restamp_again(
    connection: Connection,
    imei: str,
    since: datetime | None,
    *,
    patience_s: float = _PATIENCE_S,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Wait until sinks know what changed, and set right what they stored meanwhile; commits.

    Args:
        connection: outside a transaction.
        imei: the device.
        since: when its installation changed, as `restamp` wants it.
        patience_s: how long a transaction that is open then may take to end, in seconds.
        sleep: waits for seconds.

    Returns:
        How many rows had another vehicle.

    Raises:
        UnavailableError: a transaction does not end; what it holds was not seen, all else is set right.
    """
    sleep(LIFETIME_S + _MARGIN_S)
    with connection.transaction():
        (number,) = connection.execute(_OWN_NUMBER).fetchone() or ("0",)
    deadline = time.monotonic() + patience_s
    while not (is_over := _older_ended(connection, number)) and time.monotonic() < deadline:
        sleep(_POLL_S)
    with connection.transaction():
        row_count = restamp(connection, imei, since)
    if not is_over:
        message = (
            f"the device left its vehicle, but a transaction in TimescaleDB is open for {patience_s:g} s: "
            f"rows that it may hold keep the old vehicle until their day is loaded; see pg_stat_activity"
        )
        raise UnavailableError(message)
    return row_count


def _older_ended(connection: Connection, number: str) -> bool:
    """Whether every transaction that began to write before this number has ended."""
    with connection.transaction():
        row = connection.execute(_OLDER_ENDED, (number,)).fetchone()
    return bool(row and row[0])
