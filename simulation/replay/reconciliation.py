"""The sender's ledger against the stores, in both directions.

- *missing*: acknowledged, but in no tier. The promise "an acknowledged record is stored" is broken.
- *foreign*: in a tier, but not in the ledger. Somebody else used the device's number, or bytes changed.
- *doubled*: twice within one tier. A merged day that is still hot stands in both tiers as the same row, and
  that is no doubling.
- *pending*: sent but not acknowledged, and not stored. No promise was made for them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simulation.device.records import IDENTITY, Identities, Ints
from simulation.replay.ledger import LEDGER_SUFFIX, read_ledger
from simulation.replay.stored import Stores
from telematics.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """One device's ledger against the stores; all numbers are records.

    Attributes:
        name: of the source.
        sent: in the ledger, each once.
        acknowledged: of these.
        hot: rows in TimescaleDB.
        warm: rows in ClickHouse.
        archived: rows in the archive, of days that it serves.
        stored: distinct records over all tiers.
        missing: acknowledged and nowhere stored.
        foreign: stored and never sent.
        doubled: rows too many within a tier.
        pending: sent, neither acknowledged nor stored.
    """

    name: str
    sent: int
    acknowledged: int
    hot: int
    warm: int
    archived: int
    stored: int
    missing: int
    foreign: int
    doubled: int
    pending: int

    @property
    def is_equal(self) -> bool:
        """Whether the stores hold just what was acknowledged or at least sent, each record once."""
        return self.missing == self.foreign == self.doubled == 0


def reconcile(
    name: str,
    sent: Identities,
    acknowledged: int,
    hot: Identities,
    warm: Identities,
    archived: Identities | None = None,
) -> Reconciliation:
    """Compare one device's records; the first `acknowledged` of `sent` were acknowledged.

    The identities of all are numbered together, after which every question is one about sets of small
    integers.
    """
    numbers = _numbered(sent, hot, warm, np.empty(0, IDENTITY) if archived is None else archived)
    sent_numbers, *tier_numbers = numbers
    size = max((int(each.max()) + 1 for each in numbers if len(each)), default=0)
    in_sent = np.bincount(sent_numbers, minlength=size) > 0
    in_acknowledged = np.bincount(sent_numbers[:acknowledged], minlength=size) > 0
    tiers = [np.bincount(each, minlength=size) for each in tier_numbers]
    in_stores = np.sum(tiers, axis=0) > 0
    return Reconciliation(
        name=name,
        sent=int(in_sent.sum()),
        acknowledged=int(in_acknowledged.sum()),
        hot=len(hot),
        warm=len(warm),
        archived=0 if archived is None else len(archived),
        stored=int(in_stores.sum()),
        missing=int((in_acknowledged & ~in_stores).sum()),
        foreign=int((in_stores & ~in_sent).sum()),
        doubled=sum(int(np.maximum(tier - 1, 0).sum()) for tier in tiers),
        pending=int((in_sent & ~in_acknowledged & ~in_stores).sum()),
    )


def _numbered(*parts: Identities) -> list[Ints]:
    """For each part, a number per entry; equal identities have equal numbers, across parts too."""
    together = np.concatenate(parts)
    order = np.lexsort((together["content_hash"], together["event_id"], together["time_ms"]))
    ordered = together[order]
    is_new = np.ones(len(ordered), np.bool_)
    is_new[1:] = (
        (ordered["time_ms"][1:] != ordered["time_ms"][:-1])
        | (ordered["event_id"][1:] != ordered["event_id"][:-1])
        | (ordered["content_hash"][1:] != ordered["content_hash"][:-1])
    )
    numbers = np.empty(len(ordered), np.int64)
    numbers[order] = np.cumsum(is_new) - 1
    return np.split(numbers, np.cumsum([len(part) for part in parts])[:-1])


def find_ledgers(folder: Path) -> list[Path]:
    """The ledgers of a folder, by name.

    Raises:
        NotFoundError: nothing was ever replayed from here.
    """
    ledgers = sorted(folder.glob(f"*{LEDGER_SUFFIX}"))
    if not ledgers:
        message = (
            f"no ledger in {folder}: nothing was replayed from this data folder; see `piston replay --help`"
        )
        raise NotFoundError(message)
    return ledgers


def verify(ledgers: Sequence[Path], stores: Stores) -> Iterator[Reconciliation]:
    """Compare ledgers with the stores, one device after the other.

    Raises:
        LedgerDamagedError: a ledger cannot be read.
    """
    for path in ledgers:
        content = read_ledger(path)
        imei = str(content.pin["imei"])
        yield reconcile(
            path.stem,
            content.identities,
            content.acknowledged,
            stores.hot.identities(imei),
            stores.warm.identities(imei),
            stores.archive.identities(imei),
        )


def devices_of(ledgers: Sequence[Path]) -> list[str]:
    """The IMEIs that ledgers are about.

    Raises:
        LedgerDamagedError: a ledger cannot be read.
    """
    return [str(read_ledger(path).pin["imei"]) for path in ledgers]
