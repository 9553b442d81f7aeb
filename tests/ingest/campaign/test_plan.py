"""Plans are the same for the same seed and spare nobody."""

from collections import Counter

import pytest

from tests.ingest.campaign.plan import DECK, Victim, plan, sittings


def test_a_plan_follows_from_its_seed():
    assert plan(3, 50) == plan(3, 50)
    assert plan(3, 50) != plan(4, 50)


def test_a_longer_campaign_begins_with_a_shorter_one():
    assert plan(3, 50)[:10] == plan(3, 10)


@pytest.mark.parametrize("seed", range(20))
def test_ten_rounds_kill_each_of_the_five_twice_and_two_at_once(seed):
    rounds = plan(seed, 10)
    kills = Counter(victim for one in rounds for victim in one.victims)
    for victim in (Victim.GATEWAY, Victim.SINK, Victim.LIVE, Victim.BROKER, Victim.DATABASE):
        assert kills[victim] == 2
    together = {one.victims for one in rounds if len(one.victims) > 1}
    assert together == {(Victim.SINK, Victim.BROKER), (Victim.GATEWAY, Victim.DATABASE)}


def test_moments_differ():
    delays = [one.delay_s for one in plan(1, 50)]
    assert len(set(delays)) > 40
    assert max(delays) - min(delays) > 0.5


def test_sittings_hold_every_round_once_and_in_order():
    rounds = plan(1, 25)
    groups = sittings(rounds, len(DECK))
    assert [len(group) for group in groups] == [10, 10, 5]
    assert [one for group in groups for one in group] == list(rounds)
