"""What must hold between ClickHouse, archive and ledger; `orchestration` wraps each as an asset check."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from clickhouse_connect.driver.client import Client

from telematics.clock import utc_now
from telematics.settings import Settings
from warehouse import clients, columns, ledger, warm_days
from warehouse.archive import layout, sums, verification
from warehouse.archive import ledger as archive_ledger
from warehouse.archive.errors import DamagedError, MissingObjectError, OfflineError
from warehouse.archive.manifest import Manifest
from warehouse.archive.storage import ArchiveStorage, open_storage
from warehouse.checks import CheckResult, Number

VERIFIED_FILES = 3
"""Files read back whole by one call of `archive_sound`: those that nobody looked at for longest."""
COMPARED_DAYS = 31


def archive_parity(settings: Settings, days: Sequence[date] | None = None) -> CheckResult:
    """Days that ClickHouse and the archive both hold add up to the same, column by column.

    These are days that a load brought back, or whose partition was not dropped yet. One that was brought back
    may have more rows than its file, late ones, never fewer; with as many, all columns but those that a load
    resolves anew (VIN, origin) are the same. The archive's side are the sums in the manifest; that they are
    the file's own, `archive_sound` looks after.

    Args:
        settings: where stores and archive are.
        days: which days; by default the newest `COMPARED_DAYS` that both hold.

    Raises:
        UnavailableError: a store or the storage does not answer.
    """
    storage = open_storage(settings)
    differing: dict[date, str] = {}
    with clients.timescale(settings) as connection, clients.clickhouse(settings) as client:
        files = {file.day: file for file in archive_ledger.current_files(connection)}
        wanted = sorted(day for day in files if days is None or day in days)
        held = warm_days.row_counts(client, wanted[0], wanted[-1] + timedelta(1)) if wanted else {}
        both = [day for day in wanted if day in held][-COMPARED_DAYS:]
        for day in both:
            if held[day] > files[day].row_count and not files[day].is_serving:
                continue
            if found := _differences(storage, client, files[day]):
                differing[day] = found
    return judge_parity(len(both), differing)


def _differences(storage: ArchiveStorage, client: Client, file: archive_ledger.ArchivedFile) -> str | None:
    key = layout.manifest_key(file.key)
    try:
        manifest = Manifest.from_json(storage.read(key), key)
    except (DamagedError, MissingObjectError) as error:
        return str(error)
    resolved = set() if file.is_serving else {f"column {name}" for name in columns.RESOLVED}
    found = [
        difference
        for difference in manifest.facts.content.differences(sums.of_clickhouse(client, file.day))
        if difference not in resolved
    ]
    return f"{file.day} differs in {', '.join(found[:5])}" if found else None


def judge_parity(compared: int, differing: Mapping[date, str]) -> CheckResult:
    """The verdict of `archive_parity`."""
    numbers: dict[str, Number] = {"days": compared, "days_that_differ": len(differing)}
    if not differing:
        return CheckResult(True, f"{compared} days are the same in ClickHouse and in the archive", numbers)
    first = min(differing)
    return CheckResult(False, f"{differing[first]} ({len(differing)} of {compared} days differ)", numbers)


def archive_complete(settings: Settings) -> CheckResult:
    """Every day that ClickHouse gave up has file and manifest in the storage, with the rows that were loaded.

    Raises:
        UnavailableError: TimescaleDB or the storage does not answer.
    """
    storage = open_storage(settings)
    with clients.timescale(settings) as connection:
        files = archive_ledger.current_files(connection, serving_only=True)
        loaded = {s.day: s.loaded_rows for s in ledger.day_states(connection, [file.day for file in files])}
    stored = set(storage.keys(layout.prefix_of())) if files else set()
    lacking = [file.day for file in files if not {file.key, layout.manifest_key(file.key)} <= stored]
    fewer = [file.day for file in files if file.row_count != loaded[file.day]]
    damaged = [file.day for file in files if file.damage is not None]
    numbers: dict[str, Number] = {
        "days": len(files),
        "rows": sum(file.row_count for file in files),
        "bytes": sum(file.byte_count for file in files),
        "days_without_file": len(lacking),
        "damaged_days": len(damaged),
        "days_with_other_counts": len(fewer),
    }
    if not lacking and not damaged and not fewer:
        return CheckResult(True, f"{len(files)} days lie in the archive alone, all there", numbers)
    wrong = sorted({*lacking, *damaged, *fewer})
    what = "is archived with other rows than were loaded"
    if wrong[0] in damaged:
        what = "has a damaged file"
    if wrong[0] in lacking:
        what = "has no file or no manifest"
    return CheckResult(False, f"{wrong[0]} {what}; {len(wrong)} of {len(files)} days are not whole", numbers)


def archive_sound(settings: Settings, *, count: int = VERIFIED_FILES) -> CheckResult:
    """Files read back, byte and row, are what their manifests say; a few with each call, all in turn.

    What is found is written down: a damaged file is not served.

    Raises:
        UnavailableError: TimescaleDB or the storage does not answer.
    """
    storage = open_storage(settings)
    with clients.timescale(settings) as connection:
        files = archive_ledger.current_files(connection, serving_only=True)
        oldest = sorted(files, key=lambda file: file.verified_at)[:count]
        damaged: dict[date, str] = {}
        read = 0
        for file in oldest:
            damage = _inspected(storage, file)
            if damage == _OFFLINE:
                continue
            read += 1
            archive_ledger.note_verification(connection, file, damage, utc_now())
            if damage is not None:
                damaged[file.day] = damage
    numbers: dict[str, Number] = {"files_read": read, "damaged_files": len(damaged)}
    if not damaged:
        return CheckResult(True, f"{read} files read back, all sound", numbers)
    return CheckResult(False, damaged[min(damaged)], numbers)


_OFFLINE = "offline"


def _inspected(storage: ArchiveStorage, file: archive_ledger.ArchivedFile) -> str | None:
    try:
        return verification.inspect(storage, file)
    except OfflineError:
        return _OFFLINE
