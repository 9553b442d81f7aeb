"""What a device sent and what was acknowledged: written to disk before it is written to the network.

Two files per device. The ledger is only ever appended to:

    b"PISTONLG" | u32 length | pin (JSON) | u64 xxh64(pin)
    then any number of   b"RECS" | u32 count | u64 xxh64(entries) | count × IDENTITY (20 bytes)
    and at the very end  b"DONE" | u32 0     | u64 number of entries

The other holds the number of records acknowledged, in two slots of `u64 count | u64 xxh64(count)` that are
written in turn. All integers are little-endian.

Promises, in order: entries are on disk (fsync) before any record of theirs is sent; acknowledgements are
written after they came and synced now and then. So after any crash each stored record has an entry; what the
crash tore off the ledger's end was never sent; an acknowledgement that was lost costs a resend of the same
bytes, which every tier recognises. The pin says what the bytes depend on: under another pin the ledger is
refused, because positions would mean other records.
"""

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Final, Self

import numpy as np
from xxhash import xxh64_intdigest

from simulation.device.records import IDENTITY, Identities
from telematics.errors import ConflictError, PistonError

Pin = Mapping[str, str | int]

LEDGER_SUFFIX: Final = ".ledger"
ACKNOWLEDGED_SUFFIX: Final = ".acknowledged"

_MAGIC: Final = b"PISTONLG"
_PIN_HEAD: Final = Struct("<8sI")
_PIN_CHECK: Final = Struct("<Q")
_CHUNK_HEAD: Final = Struct("<4sIQ")
_RECORDS: Final = b"RECS"
_DONE: Final = b"DONE"
_SLOT: Final = Struct("<QQ")
_COUNT: Final = Struct("<Q")


class LedgerMismatchError(ConflictError):
    """The ledger belongs to other bytes than those that would be sent now."""


class LedgerBusyError(ConflictError):
    """Another process is sending from the same ledger."""


class LedgerDamagedError(PistonError):
    """The ledger's files contradict each other or themselves, in a way no crash explains."""


@dataclass(frozen=True, slots=True)
class LedgerContent:
    """A ledger as read from disk.

    Attributes:
        pin: what its bytes depend on.
        identities: one per record sent, or about to be when the sender was interrupted.
        acknowledged: the first so many were acknowledged.
        slot: which of the two slots says so.
        is_whole: the source has no further records.
        intact_bytes: length of the part of the file that is whole.
    """

    pin: dict[str, str | int]
    identities: Identities
    acknowledged: int
    slot: int
    is_whole: bool
    intact_bytes: int


def read_ledger(path: Path) -> LedgerContent:
    """Read a ledger; a torn end is left aside.

    Raises:
        LedgerDamagedError: the files contradict each other, or the beginning is not a ledger's.
    """
    # first, so that reading beside a running replay never finds more acknowledged than entered
    acknowledged, slot = _read_acknowledged(path.with_suffix(ACKNOWLEDGED_SUFFIX))
    content = path.read_bytes()
    pin, place = _read_pin(path, content)
    chunks: list[Identities] = []
    count, is_whole = 0, False
    while not is_whole and place + _CHUNK_HEAD.size <= len(content):
        kind, length, check = _CHUNK_HEAD.unpack_from(content, place)
        start = place + _CHUNK_HEAD.size
        end = start + length * IDENTITY.itemsize
        if kind == _DONE and check == count:
            is_whole = True
        elif kind == _RECORDS and end <= len(content) and xxh64_intdigest(content[start:end]) == check:
            chunks.append(np.frombuffer(content, IDENTITY, length, start))
            count += length
        else:
            break
        place = end
    if acknowledged > count:
        message = (
            f"{path}: {acknowledged} records were acknowledged but only {count} are in the ledger; the file "
            f"was cut or changed. Restore it from a backup, or start with an empty data folder"
        )
        raise LedgerDamagedError(message)
    identities = np.concatenate(chunks) if chunks else np.zeros(0, IDENTITY)
    return LedgerContent(pin, identities, acknowledged, slot, is_whole, place)


class Ledger:
    """An open ledger of one device; make one with `Ledger.open`.

    Attributes:
        acknowledged: records that were acknowledged.
        recorded: entries in the ledger.
        is_whole: the source has no further records.
    """

    def __init__(self, path: Path, content: LedgerContent, ledger: int, acknowledgements: int) -> None:
        self._path = path
        self._ledger = ledger
        self._acknowledgements = acknowledgements
        self._pending = content.identities[content.acknowledged :]
        self._pending_from = content.acknowledged
        self.acknowledged = content.acknowledged
        self.recorded = len(content.identities)
        self.is_whole = content.is_whole
        self._turn = content.slot

    @classmethod
    def open(cls, path: Path, pin: Pin) -> Self:
        """The ledger at `path`, made if it is not there; what a crash tore off its end is removed.

        Raises:
            LedgerMismatchError: it was begun under another pin; the message says what differs.
            LedgerDamagedError: see `read_ledger`.
            LedgerBusyError: another replay has it open.
        """
        if not path.exists():
            _create(path, pin)
        ledger = os.open(path, os.O_WRONLY | os.O_APPEND)
        try:
            _lock(path, ledger)
            content = read_ledger(path)
            _require_same_pin(path, content.pin, pin)
            os.ftruncate(ledger, content.intact_bytes)
            acknowledgements = os.open(path.with_suffix(ACKNOWLEDGED_SUFFIX), os.O_WRONLY | os.O_CREAT, 0o644)
        except BaseException:
            os.close(ledger)
            raise
        return cls(path, content, ledger, acknowledgements)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def is_finished(self) -> bool:
        """Whether every record of the source was acknowledged."""
        return self.is_whole and self.acknowledged == self.recorded

    def record(self, position: int, identities: Identities) -> None:
        """Make sure that these records, from `position` on, are in the ledger and on disk; then send them.

        Records that an earlier run entered and did not get acknowledged must come out the same again.

        Raises:
            LedgerMismatchError: they do not.
        """
        known = self.recorded - position
        if known > 0:
            start = position - self._pending_from
            entered = self._pending[start : start + len(identities)]
            if len(entered) and not np.array_equal(entered, identities[: len(entered)]):
                message = (
                    f"{self._path}: from record {position} on other bytes were sent before than would be "
                    f"sent now, though source and encoder claim to be the same; nothing was sent. Use "
                    f"another data folder, or the version that began this replay"
                )
                raise LedgerMismatchError(message)
        fresh = identities[max(known, 0) :]
        if len(fresh):
            if self.is_whole:
                message = f"{self._path}: the source has more records than when the ledger was finished"
                raise LedgerMismatchError(message)
            entries = np.ascontiguousarray(fresh).tobytes()
            self._append(_RECORDS, len(fresh), xxh64_intdigest(entries), entries)
            self.recorded += len(fresh)
        os.fsync(self._acknowledgements)

    def finish(self) -> None:
        """Note that the source has no further records.

        Raises:
            LedgerMismatchError: an earlier run saw more of them.
        """
        if self.acknowledged < self.recorded:
            message = (
                f"{self._path}: {self.recorded} records were entered but the source ended after "
                f"{self.acknowledged}; use another data folder, or the version that began this replay"
            )
            raise LedgerMismatchError(message)
        if not self.is_whole:
            self._append(_DONE, 0, self.recorded, b"")
            self.is_whole = True

    def acknowledge(self, count: int) -> None:
        """Note that the next `count` records were acknowledged."""
        self.acknowledged += count
        # in turn, so that a write torn by a crash leaves the one before it whole
        self._turn = 1 - self._turn
        os.pwrite(self._acknowledgements, _slot(self.acknowledged), self._turn * _SLOT.size)

    def close(self) -> None:
        """Sync and close both files."""
        for descriptor in (self._acknowledgements, self._ledger):
            os.fsync(descriptor)
            os.close(descriptor)

    def _append(self, kind: bytes, count: int, check: int, entries: bytes) -> None:
        chunk = _CHUNK_HEAD.pack(kind, count, check) + entries
        try:
            written = os.write(self._ledger, chunk)
        except OSError as error:
            message = f"{self._path} cannot be written: {error.strerror}; nothing of this block was sent"
            raise LedgerDamagedError(message) from error
        if written != len(chunk):  # a full disk: the next opening cuts the torn chunk off
            message = (
                f"{self._path}: only {written} of {len(chunk)} bytes could be written; is the disk full?"
            )
            raise LedgerDamagedError(message)
        os.fsync(self._ledger)


def _lock(path: Path, descriptor: int) -> None:
    """Keep other replays out until the descriptor is closed, however this process ends."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        message = f"{path} is in use: another replay is sending from this data folder; wait for its end"
        raise LedgerBusyError(message) from error


def _slot(count: int) -> bytes:
    return _SLOT.pack(count, xxh64_intdigest(_COUNT.pack(count)))


def _create(path: Path, pin: Pin) -> None:
    """Begin a ledger: whole and on disk, or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dict(pin), sort_keys=True).encode()
    head = _PIN_HEAD.pack(_MAGIC, len(text)) + text + _PIN_CHECK.pack(xxh64_intdigest(text))
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(head)
        file.flush()
        os.fsync(file.fileno())
    # an acknowledgement file without its ledger counts records of a ledger that is gone
    path.with_suffix(ACKNOWLEDGED_SUFFIX).unlink(missing_ok=True)
    fresh.rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _read_pin(path: Path, content: bytes) -> tuple[dict[str, str | int], int]:
    """The pin and where the chunks begin."""
    if len(content) >= _PIN_HEAD.size:
        magic, length = _PIN_HEAD.unpack_from(content)
        text = content[_PIN_HEAD.size : _PIN_HEAD.size + length]
        end = _PIN_HEAD.size + length + _PIN_CHECK.size
        if magic == _MAGIC and end <= len(content):
            (check,) = _PIN_CHECK.unpack_from(content, end - _PIN_CHECK.size)
            if check == xxh64_intdigest(text):
                return json.loads(text), end
    message = f"{path} does not begin like a replay's ledger; move it away to begin anew"
    raise LedgerDamagedError(message)


def _read_acknowledged(path: Path) -> tuple[int, int]:
    """The highest whole count and its slot; 0 where nothing was acknowledged yet."""
    content = path.read_bytes() if path.exists() else b""
    found = [(0, 0)]
    for slot in range(len(content) // _SLOT.size):
        count, check = _SLOT.unpack_from(content, slot * _SLOT.size)
        if check == xxh64_intdigest(_COUNT.pack(count)):
            found.append((count, slot))
    return max(found)


def _require_same_pin(path: Path, found: Pin, wanted: Pin) -> None:
    differing = sorted(
        name for name in {*found, *wanted} if found.get(name) != wanted.get(name) and name != "imei"
    )
    if dict(found) != dict(wanted):
        message = (
            f"{path} was begun with another {' and '.join(differing) or 'device'}; what was sent "
            f"then cannot be told from what would be sent now. Use another data folder "
            f"(PISTON_DATA_DIR), or the same source"
        )
        raise LedgerMismatchError(message)
