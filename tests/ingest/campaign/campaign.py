"""A campaign: many rounds in sittings, whose results are kept in a folder, so that it can be cut short.

The folder holds `campaign.json`: seed, and the result of each sitting that was judged. A sitting that was cut
short left no verdict, so it is sat again, whole, on a fresh system.
"""

import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from tests.ingest.campaign.judge import Totals, Verdict
from tests.ingest.campaign.plan import DECK, Victim, plan, sittings
from tests.ingest.campaign.sitting import Progress, RoundResult, SittingResult, sit

SITTING_ROUNDS: Final = len(DECK)
"""A whole deck, so that each fresh system meets everything."""
_FILE: Final = "campaign.json"


class CampaignStateError(ValueError):
    """The folder holds another campaign, or something else."""


@dataclass(frozen=True, slots=True)
class CampaignResult:
    """What is known of a campaign so far."""

    seed: int
    sittings: tuple[SittingResult, ...]
    finished_at: str
    """RFC 3339, of the last sitting; empty before the first."""

    @property
    def rounds(self) -> tuple[RoundResult, ...]:
        """All rounds that were judged."""
        return tuple(one for sitting in self.sittings for one in sitting.rounds)

    @property
    def totals(self) -> Totals:
        """All sittings together."""
        return sum((sitting.totals for sitting in self.sittings), Totals())

    @property
    def is_clean(self) -> bool:
        """Whether ledger and stores agreed after every sitting."""
        return all(sitting.verdict.is_clean for sitting in self.sittings)

    def with_sitting(self, sitting: SittingResult) -> Self:
        """The same with one more sitting, which ended now."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return type(self)(self.seed, (*self.sittings, sitting), now)


def run_campaign(
    folder: Path, rounds: int, seed: int, progress: Progress, run: Callable[..., SittingResult] = sit
) -> CampaignResult:
    """Run what the folder does not hold yet, a sitting at a time. Call from the main thread.

    Args:
        folder: keeps the results; made if need be.
        rounds: of the whole campaign.
        seed: of the whole campaign; the folder's own has to be the same.
        progress: told of each step in a line.
        run: runs one sitting.

    Raises:
        CampaignStateError: the folder belongs to a campaign with another seed or other sittings.
        CampaignError: the system failed; what was judged before is kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _FILE
    result = load(path) if path.exists() else CampaignResult(seed, (), "")
    if result.seed != seed:
        message = f"{path} is of a campaign with seed {result.seed}, not {seed}; name another folder"
        raise CampaignStateError(message)
    wanted = sittings(plan(seed, rounds), SITTING_ROUNDS)
    for number, (done, planned) in enumerate(zip(result.sittings, wanted, strict=False), start=1):
        if [(one.number, one.victims) for one in done.rounds] != [
            (one.number, one.victims) for one in planned
        ]:
            message = f"sitting {number} in {path} has other rounds than planned; name another folder"
            raise CampaignStateError(message)
    for number, planned in enumerate(wanted[len(result.sittings) :], start=len(result.sittings) + 1):
        progress(f"sitting {number} of {len(wanted)}: rounds {planned[0].number} to {planned[-1].number}")
        sitting = run(planned, seed, progress)
        result = result.with_sitting(sitting)
        _save(path, result)
        progress(f"sitting {number}: ledger and stores differ in {sitting.verdict}")
    return result


def load(path: Path) -> CampaignResult:
    """The campaign that a file holds.

    Raises:
        CampaignStateError: it holds none.
    """
    try:
        stored = json.loads(path.read_text())
        return CampaignResult(
            stored["seed"], tuple(map(_sitting_of, stored["sittings"])), stored["finished_at"]
        )
    except (ValueError, KeyError, TypeError) as error:
        message = f"{path} holds no campaign ({type(error).__name__}); remove it or name another folder"
        raise CampaignStateError(message) from error


def machine() -> str:
    """This machine, in a few words."""
    memory_gib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return f"{os.cpu_count()} processors, {memory_gib:.0f} GiB, {platform.system()} {platform.machine()}"


def _sitting_of(stored: dict[str, Any]) -> SittingResult:
    rounds = tuple(
        RoundResult(**{**one, "victims": tuple(map(Victim, one["victims"]))}) for one in stored["rounds"]
    )
    return SittingResult(rounds, Verdict(**stored["verdict"]), Totals(**stored["totals"]), stored["seconds"])


def _save(path: Path, result: CampaignResult) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(result), indent=1))
    fresh.replace(path)  # whole or not at all
