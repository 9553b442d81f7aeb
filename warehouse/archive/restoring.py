"""Days in an offline storage class: asked for, waited for, readable for a while."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from psycopg import Connection

from telematics.errors import ConfigurationError, NotFoundError
from telematics.settings import Settings
from warehouse import clients
from warehouse.archive import ledger as archive_ledger
from warehouse.archive.errors import MissingObjectError
from warehouse.archive.ledger import ArchivedFile
from warehouse.archive.storage import ArchiveStorage, StoredObject, open_storage
from warehouse.ledger import DayState, KeptDay
from warehouse.progress import Progress, silent


class RestoreState(StrEnum):
    """How far a day is."""

    READABLE = "readable"
    """It can be read now."""
    RESTORING = "restoring"
    """The storage was asked and is at work; Glacier takes hours."""
    REQUESTED = "requested"
    """The storage was asked just now."""
    MISSING = "missing"
    """The storage has no such file; the archive's checks name it, too."""


@dataclass(frozen=True, slots=True)
class DayRestore:
    """One day's state."""

    day: date
    state: RestoreState
    storage_class: str
    restored_until: datetime | None


def restore_day(
    settings: Settings, day: date, day_count: int = archive_ledger.DEFAULT_DAYS, *, requested_by: str = "cli"
) -> DayRestore:
    """Make an archived day readable: asks the storage if need be, and says how far it is. May be repeated.

    Raises:
        ConfigurationError: `day_count` is below 1.
        NotFoundError: the day was never archived.
        StorageError: the storage does not answer.
    """
    if day_count < 1:
        message = f"restore of {day} for {day_count} days: it has to be 1 or more"
        raise ConfigurationError(message)
    with clients.timescale(settings) as connection:
        file = archive_ledger.newest_version(connection, day)
        if file is None:
            message = f"{day} was never archived; `piston archive list` shows the days that were"
            raise NotFoundError(message)
        archive_ledger.note_request(connection, [day], requested_by, day_count)
        return _bring_forward(connection, open_storage(settings), settings, file, day_count)


def send_requests(settings: Settings, *, progress: Progress = silent) -> list[DayRestore]:
    """Bring every noted request forward: ask the storage, or find that the day is readable by now.

    A request whose days of being readable are over is forgotten. A file that is missing keeps no other day
    waiting.

    Raises:
        StorageError: the storage does not answer.
    """
    found = []
    with clients.timescale(settings) as connection:
        connection.execute("delete from archive_restores where restored_until < now()")
        wanted = connection.execute("select day, day_count from archive_restores order by day").fetchall()
        storage = open_storage(settings)
        for day, day_count in wanted:
            file = archive_ledger.newest_version(connection, day)
            if file is None:
                continue
            try:
                done = _bring_forward(connection, storage, settings, file, day_count)
                progress(f"{day}: {done.state}")
            except MissingObjectError as error:
                done = DayRestore(day, RestoreState.MISSING, file.storage_class, None)
                progress(f"{day}: {error}")
            found.append(done)
    return found


def _bring_forward(
    connection: Connection, storage: ArchiveStorage, settings: Settings, file: ArchivedFile, day_count: int
) -> DayRestore:
    seen = storage.head(file.key)
    state = _state(seen)
    if state is RestoreState.REQUESTED:
        storage.request_restore(file.key, day_count, settings.archive_restore_tier)
    connection.execute(
        "update archive_restores set sent_at = coalesce(sent_at, now()), restored_until = %s where day = %s",
        [
            # what was never offline is readable for good, and the request is done with
            (seen.restored_until or "infinity") if seen.is_readable else None,
            file.day,
        ],
    )
    return DayRestore(file.day, state, seen.storage_class, seen.restored_until)


def _state(seen: StoredObject) -> RestoreState:
    if seen.is_readable:
        return RestoreState.READABLE
    return RestoreState.RESTORING if seen.is_restoring else RestoreState.REQUESTED


def within_reach(
    settings: Settings, connection: Connection, states: Sequence[DayState], requested_by: str
) -> tuple[dict[date, ArchivedFile], list[KeptDay]]:
    """The files of those days that the archive serves, and the days whose file cannot be read now.

    Days that must be restored first are asked for.

    Raises:
        StorageError: the storage does not answer.
    """
    archived = [state.day for state in states if state.is_archived]
    if not archived:
        return {}, []
    files = archive_ledger.files_of(connection, archived)
    storage = open_storage(settings)
    readable: dict[date, ArchivedFile] = {}
    missing: list[KeptDay] = []
    offline: list[date] = []
    for day, file in sorted(files.items()):
        if file.damage is not None:
            missing.append(KeptDay(day, f"its archived file is damaged: {file.damage}"))
            continue
        try:
            seen = storage.head(file.key)
        except MissingObjectError as error:
            missing.append(KeptDay(day, str(error)))
            continue
        if seen.is_readable:
            readable[day] = file
        else:
            offline.append(day)
            missing.append(
                KeptDay(day, f"its file lies in {seen.storage_class} and is not restored; asked for")
            )
    archive_ledger.note_request(connection, offline, requested_by)
    return readable, missing


def waiting_days(connection: Connection, days: Iterable[date]) -> set[date]:
    """Those of the days that somebody asked for and that are not readable yet."""
    rows = connection.execute(
        "select day from archive_restores where day = any (%s::date[]) "
        "and (restored_until is null or restored_until < now())",
        [list(days)],
    ).fetchall()
    return {day for (day,) in rows}
