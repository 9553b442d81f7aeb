"""kill -9 of gateway, sink, live writer and servers with frames in flight: nothing is lost or doubled.

The campaign (`tests.ingest.campaign`) runs ten rounds here, and fifty with `make test-long`. The long one
goes on where it was cut short if PISTON_CRASH_CAMPAIGN names a folder that keeps its results.
"""

import os
import secrets
from pathlib import Path

import pytest

from tests.ingest.campaign.campaign import run_campaign
from tests.ingest.campaign.plan import DECK

pytestmark = pytest.mark.integration

LONG_ROUNDS = 50
LONG_SEED = 1


@pytest.mark.timeout(900)
def test_ledger_and_stores_agree_after_ten_rounds_of_kills(tmp_path: Path) -> None:
    seed = secrets.randbelow(2**32)  # in the output of a failure; `--seed` runs its plan again
    result = run_campaign(tmp_path, len(DECK), seed, print)
    assert len(result.rounds) == len(DECK)
    assert result.is_clean, f"seed {seed}: {result.sittings[0].verdict}"
    totals = result.totals
    assert totals.rows >= totals.acknowledged > 1_000
    assert totals.resent > 0, "no kill made a tracker send again"
    assert totals.alerts > 100


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
def test_ledger_and_stores_agree_after_fifty_rounds_of_kills(tmp_path: Path) -> None:
    folder = Path(os.environ.get("PISTON_CRASH_CAMPAIGN") or tmp_path)
    result = run_campaign(folder, LONG_ROUNDS, LONG_SEED, print)
    assert len(result.rounds) == LONG_ROUNDS
    assert result.is_clean, [str(sitting.verdict) for sitting in result.sittings]
