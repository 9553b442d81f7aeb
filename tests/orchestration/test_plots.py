"""Pictures are PNG and say the same as the numbers they are drawn from."""

from datetime import date, timedelta

import pytest

from orchestration.plots import Volume, tier_words, tiers_png, volume_png
from warehouse.measures import TierSize

PNG = b"\x89PNG\r\n\x1a\n"
FIRST = date(2026, 1, 1)


@pytest.mark.parametrize("days", [0, 1, 60])
def test_days_are_drawn_however_many_there_are(days: int):
    rows = {FIRST + timedelta(n): 100 + n for n in range(days)}
    png = volume_png(Volume(rows, dict.fromkeys(list(rows)[-3:], 0.02), factor=5.0))
    assert png.startswith(PNG)
    assert len(png) < 60_000, "it is stored with the event"


def test_a_day_more_is_another_picture():
    rows = {FIRST: 100, FIRST + timedelta(1): 100}
    late = {FIRST: 0.5}
    assert volume_png(Volume(rows, late, 5.0)) == volume_png(Volume(dict(rows), dict(late), 5.0))
    assert volume_png(Volume(rows, late, 5.0)) != volume_png(Volume(rows | {FIRST: 1}, late, 5.0))
    assert volume_png(Volume(rows, late, 5.0)) != volume_png(Volume(rows, {FIRST: 0.1}, 5.0))


def test_an_empty_tier_is_said_to_be_empty():
    full, empty = TierSize("hot", 7, 1_000, 400_000), TierSize("archive", 0, 0, 0)
    assert tier_words(full) == "7 days, 1,000 rows, 400.0 B a row"
    assert tier_words(empty) == "empty"
    assert tiers_png([full, TierSize("warm", 0, 0, 0), TierSize("cold", 0, 0, 0), empty]).startswith(PNG)
