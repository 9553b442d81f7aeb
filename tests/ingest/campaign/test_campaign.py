"""A campaign goes on where it was cut short, and its page says what it came to."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.ingest.campaign.campaign import CampaignStateError, load, run_campaign
from tests.ingest.campaign.judge import Totals, Verdict
from tests.ingest.campaign.plan import Round, Victim
from tests.ingest.campaign.report import render
from tests.ingest.campaign.sitting import CampaignError, RoundResult, SittingResult

_CLEAN = Verdict()


class Sitter:
    """Sits without servers; breaks down at the sitting it is told to."""

    def __init__(self, breaks_at: int = 0, verdict: Verdict = _CLEAN) -> None:
        self.sat: list[int] = []
        self._breaks_at = breaks_at
        self._verdict = verdict

    def __call__(self, rounds: Sequence[Round], _seed: int, _progress: object) -> SittingResult:
        if rounds[0].number == self._breaks_at:
            message = "cut short"
            raise CampaignError(message)
        self.sat.append(rounds[0].number)
        results = tuple(
            RoundResult(one.number, one.victims, 2, 30, 4 if Victim.LIVE in one.victims else None, 5.25, 1)
            for one in rounds
        )
        return SittingResult(results, self._verdict, Totals(packets=100, acknowledged=200, rows=200), 60.0)


def run(folder: Path, sitter: Sitter, rounds: int = 30, seed: int = 1):
    return run_campaign(folder, rounds, seed, lambda _: None, sitter)


def test_a_campaign_goes_on_with_the_sitting_it_was_in(tmp_path):
    with pytest.raises(CampaignError):
        run(tmp_path, Sitter(breaks_at=21))
    sitter = Sitter()
    result = run(tmp_path, sitter)
    assert sitter.sat == [21]
    assert [one.number for one in result.rounds] == list(range(1, 31))
    assert result.totals.acknowledged == 600
    assert result.is_clean


def test_a_finished_campaign_is_not_run_again_and_can_be_made_longer(tmp_path):
    first = run(tmp_path, Sitter())
    idle, longer = Sitter(), Sitter()
    assert run(tmp_path, idle) == first
    assert idle.sat == []
    assert len(run(tmp_path, longer, rounds=40).rounds) == 40
    assert longer.sat == [31]


def test_what_was_saved_is_what_was_found(tmp_path):
    result = run(tmp_path, Sitter(verdict=Verdict(lost=2)))
    assert load(tmp_path / "campaign.json") == result
    assert not result.is_clean


def test_another_seed_or_other_rounds_are_another_campaign(tmp_path):
    run(tmp_path, Sitter(), rounds=10)
    with pytest.raises(CampaignStateError, match="seed 1, not 2"):
        run(tmp_path, Sitter(), seed=2)
    stored = json.loads((tmp_path / "campaign.json").read_text())
    stored["sittings"][0]["rounds"].pop()
    (tmp_path / "campaign.json").write_text(json.dumps(stored))
    with pytest.raises(CampaignStateError, match="other rounds"):
        run(tmp_path, Sitter())


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"seed": 1, "sittings": [{}], "finished_at": ""}'])
def test_a_file_that_holds_no_campaign_is_named(tmp_path, text):
    (tmp_path / "campaign.json").write_text(text)
    with pytest.raises(CampaignStateError, match=r"campaign\.json holds no campaign"):
        run(tmp_path, Sitter())


def test_the_page_says_what_was_found(tmp_path):
    clean = run(tmp_path / "clean", Sitter())
    page = render(clean, machine="a machine", cars=20, sitting=10)
    assert "30 rounds, 36 kills. Ledger and stores agree in everything." in page
    assert page.count("| nothing |") == 3
    assert "| sink + Kafka | 2 | 30 |  | 5.2 | 1 |" in page
    broken = run(tmp_path / "broken", Sitter(verdict=Verdict(lost=2, stale=1)))
    page = render(broken, machine="a machine", cars=20, sitting=10)
    assert "**Ledger and stores differ.**" in page
    assert "2 lost, 1 stale" in page
