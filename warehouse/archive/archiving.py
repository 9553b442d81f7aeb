"""Days leave ClickHouse for the archive: written, stored, read back, compared, and only then dropped.

Per day:

1. what ClickHouse holds is added up (`sums`), written as Parquet into a local file and compared;
2. the file goes to the storage under a key of its own, never over another one;
3. what the storage holds is read back and compared with ClickHouse's sums, byte and row;
4. the manifest is stored beside it;
5. with the merge lock held: nothing moved since (ledger, hot rows, the sums of ClickHouse's day again), then
   one transaction of the ledger: this file holds the day and is the one to ask;
6. ClickHouse's partition is dropped.

Dying before 5 leaves at most objects that nobody names; the next call makes the same ones again, finds them
there and goes on. Dying between 5 and 6 leaves a partition that nobody asks; the next call compares it with
the file and drops it. Loads wait for steps 5 and 6 only. An offline storage class cannot be read back, so
there the file is first stored and read back under another key in STANDARD, then stored in its class, where
the storage vouches for its SHA-256.
"""

import tempfile
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from clickhouse_connect.driver.client import Client
from psycopg import Connection

from telematics.clock import Clock, day_start, utc_now
from telematics.errors import ConfigurationError
from telematics.names import ANALYTICS_DATABASE
from telematics.settings import Settings
from warehouse import clients, ledger, warm_days
from warehouse.archive import layout, parquet, sums, verification
from warehouse.archive import ledger as archive_ledger
from warehouse.archive.errors import DamagedError, MissingObjectError, ParityError
from warehouse.archive.ledger import ArchivedFile
from warehouse.archive.manifest import Manifest, make_manifest
from warehouse.archive.storage import ArchiveStorage, open_storage
from warehouse.ledger import DayState, KeptDay
from warehouse.progress import Progress, silent

_ATTEMPTS = 3
"""Keys tried for a day, where those before hold something damaged."""


@dataclass(frozen=True, slots=True)
class ArchivedDay:
    """A day that left ClickHouse."""

    day: date
    version: int
    row_count: int
    byte_count: int
    """Of the Parquet file."""
    warm_byte_count: int
    """Of the day's parts in ClickHouse, before."""
    seconds: float


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """One call of `archive_days`."""

    archived: tuple[ArchivedDay, ...]
    kept: tuple[KeptDay, ...]
    """Days past their retention that stay, and why; the next call tries again."""
    faults: tuple[KeptDay, ...]
    """Days that stay because two copies differ: somebody has to look."""
    seconds: float


def archive_days(
    settings: Settings,
    today: date,
    keep_days: int,
    *,
    only: Collection[date] | None = None,
    clock: Clock = utc_now,
    progress: Progress = silent,
) -> ArchiveReport:
    """Archive every day of ClickHouse before `today - keep_days`, oldest first, and drop it there.

    Args:
        settings: where stores and archive are.
        today: the UTC day that counts as today.
        keep_days: how many whole days before today stay in ClickHouse in any case.
        only: of these days, only those.
        clock: for the manifest and the ledger.
        progress: told each day.

    Raises:
        ConfigurationError: `keep_days` is negative, or the archive's settings name no usable place.
        StorageError: the storage is away, full or slow; this day and later ones stay, the next call goes on.
        UnavailableError: a store does not answer.
    """
    if keep_days < 0:
        message = f"retention of {keep_days} days: it cannot be negative; see PISTON_COLD_RETENTION_DAYS"
        raise ConfigurationError(message)
    started = time.monotonic()
    archiving = _Archiving(settings, open_storage(settings), clock, progress)
    finish_drops(settings, archiving.storage, progress)
    archived: list[ArchivedDay] = []
    kept: list[KeptDay] = []
    faults: list[KeptDay] = []
    for day, byte_count in due_days(settings, today - timedelta(keep_days), only):
        try:
            done = archiving.archive(day, byte_count)
        except (ParityError, DamagedError) as error:
            faults.append(KeptDay(day, str(error)))
            progress(f"{day} stays in ClickHouse: {error}")
            continue
        if isinstance(done, KeptDay):
            kept.append(done)
            progress(f"{day} stays in ClickHouse: {done.reason}")
        else:
            archived.append(done)
            progress(
                f"{day} archived: {done.row_count:,} rows, {done.byte_count:,} bytes, {done.seconds:.1f} s"
            )
    return ArchiveReport(tuple(archived), tuple(kept), tuple(faults), time.monotonic() - started)


def due_days(
    settings: Settings, before: date, only: Collection[date] | None = None
) -> list[tuple[date, int]]:
    """Days before a date that lie in ClickHouse and that it serves, with the bytes of their parts."""
    with clients.clickhouse(settings) as client:
        held = _partitions(client)
    with clients.timescale(settings) as connection:
        states = ledger.day_states(connection, sorted(day for day in held if day < before))
    return [
        (state.day, held[state.day])
        for state in states
        if not state.is_archived and (only is None or state.day in only)
    ]


def finish_drops(settings: Settings, storage: ArchiveStorage, progress: Progress = silent) -> list[date]:
    """Drop what ClickHouse still holds of days that the archive serves: a call before this one died there.

    Only what adds up to the archived file goes. Anything else stays for a load, which merges it with the
    file; `checks.archive_parity` names it.

    Raises:
        StorageError: the storage does not answer.
    """
    dropped: list[date] = []
    with clients.clickhouse(settings) as client:
        if not (held := _partitions(client)):
            return []
        with ledger.merge_lock(settings, progress) as lock:
            for day, file in sorted(archive_ledger.files_of(lock, sorted(held)).items()):
                if differences := _left_differs(client, storage, file):
                    progress(f"{day}: ClickHouse holds other rows of it than the archive ({differences})")
                    continue
                _drop_partition(client, day)
                dropped.append(day)
                progress(f"{day}: what was left of it in ClickHouse is dropped, the archive holds it")
    return dropped


def _left_differs(client: Client, storage: ArchiveStorage, file: ArchivedFile) -> str | None:
    key = layout.manifest_key(file.key)
    try:
        manifest = Manifest.from_json(storage.read(key), key)
    except (DamagedError, MissingObjectError) as error:
        return str(error)
    found = manifest.facts.content.differences(sums.of_clickhouse(client, file.day))
    return ", ".join(found[:5]) or None


@dataclass(frozen=True, slots=True)
class _Archiving:
    """What all days of one call share."""

    settings: Settings
    storage: ArchiveStorage
    clock: Clock
    progress: Progress

    def archive(self, day: date, warm_byte_count: int) -> ArchivedDay | KeptDay:
        """Steps 1 to 6."""
        started = time.monotonic()
        with clients.timescale(self.settings) as connection:
            [state] = ledger.day_states(connection, [day])
            if reason := _why_not(connection, state):
                return KeptDay(day, reason)
            newest = archive_ledger.newest_version(connection, day)
        with (
            clients.clickhouse(self.settings) as client,
            tempfile.TemporaryDirectory(prefix="piston-archive-") as folder,
        ):
            local = Path(folder) / "day.parquet"
            before = sums.of_clickhouse(client, day)
            try:
                facts = parquet.write_day(client, day, local)
            except ParityError as error:
                return self._differs(state, f"ClickHouse and the file being written differ: {error}")
            if differences := facts.content.differences(before):
                return self._differs(
                    state, f"ClickHouse and the written file differ in {', '.join(differences)}"
                )
            number = 1
            if newest is not None:
                # brought back by a load that changed nothing: the file that is there will do
                number = newest.version + (newest.sha256 != facts.sha256 or newest.damage is not None)
            manifest = self._store(local, day, number, facts)
            return self._hand_over(client, state, manifest, started, warm_byte_count)

    def _store(self, local: Path, day: date, number: int, facts: parquet.FileFacts) -> Manifest:
        """Steps 2 to 4."""
        for attempt in range(number, number + _ATTEMPTS):
            manifest = make_manifest(day, attempt, self.storage.storage_class, facts, self.clock())
            is_new = True
            try:
                if self.storage.is_offline:
                    self._try_online(local, manifest)
                is_new = self.storage.put(manifest.key, local, storage_class=manifest.storage_class)
                if not self.storage.is_offline:
                    verification.read_back(self.storage, manifest)
                verification.check_head(self.storage, manifest)
            except DamagedError:
                # what another attempt left under this key is no good; it is not overwritten
                if is_new or attempt == number + _ATTEMPTS - 1:
                    raise
                continue
            key = layout.manifest_key(manifest.key)
            written = local.with_name("manifest.json")
            written.write_bytes(manifest.to_json())
            if not self.storage.put(key, written, storage_class="STANDARD"):
                manifest = Manifest.from_json(self.storage.read(key), key)
                if manifest.facts != facts:
                    continue
            return manifest
        message = f"{day}: the archive holds other files under every key that was tried"
        raise DamagedError(message)

    def _try_online(self, local: Path, manifest: Manifest) -> None:
        """Store the file where it can be read back at once, look at it, and take it away again."""
        key = f"unverified/{manifest.key}"
        self.storage.put(key, local, storage_class="STANDARD")
        try:
            verification.read_back(self.storage, manifest, key=key)
        finally:
            self.storage.delete(key)

    def _hand_over(
        self, client: Client, before: DayState, manifest: Manifest, started: float, warm_byte_count: int
    ) -> ArchivedDay | KeptDay:
        """Steps 5 and 6."""
        day, content = manifest.day, manifest.facts.content
        with ledger.merge_lock(self.settings, self.progress) as lock:
            [state] = ledger.day_states(lock, [day])
            if (state.run_id, state.loaded_at) != (before.run_id, before.loaded_at):
                return KeptDay(day, "it was loaded again while it was archived")
            if reason := _why_not(lock, state):
                return KeptDay(day, reason)
            if differences := content.differences(sums.of_clickhouse(client, day)):
                message = (
                    f"ClickHouse and the archived file differ in {', '.join(differences)}; load {day} again"
                )
                raise ParityError(message)
            with lock.transaction():
                archive_ledger.hand_over(lock, manifest, self.clock())
            _drop_partition(client, day)
        return ArchivedDay(
            day=day,
            version=manifest.version,
            row_count=content.row_count,
            byte_count=manifest.facts.byte_count,
            warm_byte_count=warm_byte_count,
            seconds=time.monotonic() - started,
        )

    def _differs(self, before: DayState, sentence: str) -> KeptDay:
        """A load swapped the day while it was read, or something is wrong."""
        with clients.timescale(self.settings) as connection:
            [state] = ledger.day_states(connection, [before.day])
        if (state.run_id, state.loaded_at) != (before.run_id, before.loaded_at):
            return KeptDay(before.day, "it was loaded again while it was archived")
        raise ParityError(sentence)


def _why_not(connection: Connection, state: DayState) -> str | None:
    """Why the day cannot leave ClickHouse now, if so."""
    if state.loaded_version is None:
        return "the ledger does not know it; load it"
    if state.is_archived:
        return "the archive holds it already"
    if not state.is_unchanged:
        return "it was written to since its last load"
    if state.hot_dropped_at is None:
        return "TimescaleDB still serves it; hot retention comes first"
    bounds = [day_start(state.day), day_start(state.day + timedelta(1))]
    row = connection.execute(
        "select exists (select from telemetry where time >= %s and time < %s)", bounds
    ).fetchone()
    # hot retention proves late rows against ClickHouse, so they have to go while it holds the day
    return "late rows of it are still hot; hot retention comes first" if row and row[0] else None


def _partitions(client: Client) -> dict[date, int]:
    rows = client.query(
        "select YYYYMMDDToDate(toUInt32(partition)), sum(bytes_on_disk) from system.parts "
        "where active and database = {database:String} and table = 'telemetry' and rows > 0 group by 1",
        parameters={"database": ANALYTICS_DATABASE},
    ).result_rows
    return {row[0]: int(row[1]) for row in rows}


def _drop_partition(client: Client, day: date) -> None:
    client.command(f"alter table {warm_days.TELEMETRY} drop partition {day:%Y%m%d}")


def ratio(days: Sequence[ArchivedDay]) -> float | None:
    """Bytes in ClickHouse by bytes in the archive."""
    stored = sum(day.byte_count for day in days)
    return round(sum(day.warm_byte_count for day in days) / stored, 3) if stored else None
