import numpy as np
import pytest

from simulation.device.records import IDENTITY
from simulation.replay.ledger import Ledger
from simulation.replay.reconciliation import devices_of, find_ledgers, reconcile, verify
from simulation.replay.stored import Stores
from telematics.errors import NotFoundError
from tests.simulation.replay.sources import make_identities

NONE = np.zeros(0, IDENTITY)


def compare(sent, acknowledged, hot=NONE, warm=NONE, archived=NONE):
    return reconcile("Car_1", sent, acknowledged, hot, warm, archived)


def test_both_tiers_together_hold_what_was_sent():
    found = compare(make_identities(1, 2, 3, 4), 4, make_identities(4, 2), make_identities(1, 3))
    assert found.is_equal
    assert (found.sent, found.acknowledged, found.stored, found.hot, found.warm) == (4, 4, 4, 2, 2)
    assert (found.missing, found.foreign, found.doubled, found.pending) == (0, 0, 0, 0)


def test_what_left_clickhouse_for_the_archive_is_stored():
    found = compare(make_identities(1, 2, 3), 3, make_identities(3), make_identities(2), make_identities(1))
    assert found.is_equal
    assert (found.stored, found.archived, found.missing) == (3, 1, 0)
    twice = compare(make_identities(1), 1, archived=make_identities(1, 1))
    assert (twice.doubled, twice.is_equal) == (1, False)
    foreign = compare(make_identities(1), 1, archived=make_identities(1, 9))
    assert (foreign.foreign, foreign.is_equal) == (1, False)


def test_a_merged_day_that_is_still_hot_counts_once():
    rows = make_identities(1, 2)
    found = compare(rows, 2, rows, rows)
    assert found.is_equal
    assert (found.stored, found.doubled) == (2, 0)


def test_an_acknowledged_record_in_no_tier_is_missing():
    found = compare(make_identities(1, 2, 3), 3, make_identities(1), make_identities(3))
    assert (found.missing, found.is_equal) == (1, False)


def test_a_stored_record_that_nobody_sent_is_foreign():
    for tiers in ((make_identities(1, 9), NONE), (NONE, make_identities(1, 9))):
        found = compare(make_identities(1), 1, *tiers)
        assert (found.foreign, found.missing, found.is_equal) == (1, 0, False)


def test_a_row_twice_in_one_tier_is_doubled():
    for tiers in ((make_identities(1, 1, 1, 2), NONE), (make_identities(2), make_identities(1, 1, 1))):
        found = compare(make_identities(1, 2), 2, *tiers)
        assert (found.doubled, found.is_equal) == (2, False)


def test_what_was_sent_but_not_acknowledged_is_pending_unless_stored():
    found = compare(make_identities(1, 2, 3), 1, make_identities(1, 3))
    assert (found.pending, found.missing, found.is_equal) == (1, 0, True)


@pytest.mark.parametrize("field", ["time_ms", "event_id", "content_hash"])
def test_each_part_of_an_identity_counts(field):
    sent, stored = make_identities(1), make_identities(1)
    stored[field] += 1
    found = compare(sent, 1, stored)
    assert (found.missing, found.foreign) == (1, 1)


def test_a_record_sent_twice_in_one_recording_is_one_record():
    found = compare(make_identities(1, 1, 2), 3, make_identities(1, 2))
    assert found.is_equal
    assert (found.sent, found.acknowledged) == (2, 2)


def test_nothing_sent_and_nothing_stored_is_equal():
    assert compare(NONE, 0).is_equal


class Tier:
    def __init__(self, rows):
        self._rows = rows

    def identities(self, imei):
        return self._rows[imei]


def test_every_ledger_of_a_folder_is_compared_by_its_own_device(tmp_path):
    first, second = "001020000100005", "001020000100013"
    for name, imei, rows in (("A", first, make_identities(1, 2)), ("B", second, make_identities(3))):
        with Ledger.open(tmp_path / f"{name}.ledger", {"imei": imei}) as ledger:
            ledger.record(0, rows)
            ledger.acknowledge(len(rows))
    stores = Stores(
        Tier({first: make_identities(1), second: NONE}),
        Tier({first: NONE, second: make_identities(3, 4)}),
        Tier({first: make_identities(2), second: NONE}),
    )
    assert devices_of(find_ledgers(tmp_path)) == [first, second]
    one, two = verify(find_ledgers(tmp_path), stores)
    assert (one.name, one.is_equal, one.stored) == ("A", True, 2)
    assert (two.name, two.is_equal, two.foreign) == ("B", False, 1)


def test_a_folder_without_ledgers_was_never_replayed_from(tmp_path):
    with pytest.raises(NotFoundError, match="nothing was replayed"):
        find_ledgers(tmp_path / "absent")
