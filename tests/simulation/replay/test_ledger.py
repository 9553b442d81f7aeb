import os

import numpy as np
import pytest

from simulation.replay.ledger import (
    ACKNOWLEDGED_SUFFIX,
    Ledger,
    LedgerBusyError,
    LedgerDamagedError,
    LedgerMismatchError,
    read_ledger,
)
from tests.simulation.replay.sources import make_identities

PIN = {"imei": "001020000100005", "recording": "ab12", "encoder": 1}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "replay" / "Car_1.ledger"


@pytest.fixture
def begun(path):
    """Two chunks of three and two entries, four acknowledged one by one."""
    with Ledger.open(path, PIN) as ledger:
        ledger.record(0, make_identities(1, 2, 3))
        for _ in range(3):
            ledger.acknowledge(1)
        ledger.record(3, make_identities(4, 5))
        ledger.acknowledge(1)
    return path


def acknowledged_file(path):
    return path.with_suffix(ACKNOWLEDGED_SUFFIX)


def test_a_ledger_in_use_is_not_opened_twice(begun):
    with Ledger.open(begun, PIN), pytest.raises(LedgerBusyError, match="another replay"):
        Ledger.open(begun, PIN)
    Ledger.open(begun, PIN).close()


def test_a_ledger_holds_what_was_entered_and_how_much_was_acknowledged(begun):
    content = read_ledger(begun)
    assert np.array_equal(content.identities, make_identities(1, 2, 3, 4, 5))
    assert (content.acknowledged, content.is_whole, content.pin) == (4, False, PIN)
    assert content.intact_bytes == begun.stat().st_size


def test_entries_are_on_disk_before_they_are_acknowledged(path):
    with Ledger.open(path, PIN) as ledger:
        ledger.record(0, make_identities(1, 2))
        assert len(read_ledger(path).identities) == 2
        ledger.acknowledge(2)
        assert read_ledger(path).acknowledged == 2


@pytest.mark.parametrize("lost", range(1, 57))
def test_a_torn_end_is_cut_off_and_written_anew(begun, lost):
    # the last chunk is 16 + 2 × 20 bytes long; entry 5 was pending and 4, acknowledged, must not be lost
    acknowledged_file(begun).unlink()
    os.truncate(begun, begun.stat().st_size - lost)
    assert len(read_ledger(begun).identities) == 3
    with Ledger.open(begun, PIN) as ledger:
        assert (ledger.recorded, ledger.acknowledged) == (3, 0)
        ledger.record(0, make_identities(1, 2, 3, 4, 5))
        ledger.acknowledge(5)
        ledger.finish()
    content = read_ledger(begun)
    assert np.array_equal(content.identities, make_identities(1, 2, 3, 4, 5))
    assert (content.is_whole, content.acknowledged) == (True, 5)


def test_rubbish_at_the_end_is_left_aside(begun):
    with begun.open("ab") as file:
        file.write(b"RECS\xff\xff\xff\xff" + bytes(30))
    assert len(read_ledger(begun).identities) == 5
    with Ledger.open(begun, PIN) as ledger:
        ledger.record(4, make_identities(5, 6))
    assert np.array_equal(read_ledger(begun).identities, make_identities(1, 2, 3, 4, 5, 6))


@pytest.mark.parametrize("slot", [0, 1])
def test_a_torn_acknowledgement_costs_at_most_the_last_one(begun, slot):
    file = acknowledged_file(begun)
    content = bytearray(file.read_bytes())
    content[16 * slot] ^= 0xFF
    file.write_bytes(content)
    assert read_ledger(begun).acknowledged in (3, 4)
    assert read_ledger(begun).acknowledged == (3 if slot == 0 else 4)


@pytest.mark.parametrize("before", [1, 2])
def test_the_first_acknowledgement_after_a_restart_spares_the_slot_that_counts(path, before):
    with Ledger.open(path, PIN) as ledger:
        ledger.record(0, make_identities(1, 2, 3, 4))
        for _ in range(before):
            ledger.acknowledge(1)
    earlier = acknowledged_file(path).read_bytes()
    with Ledger.open(path, PIN) as ledger:
        ledger.acknowledge(1)
    content = bytearray(acknowledged_file(path).read_bytes())
    for slot in (0, 16):  # tear the one that was written now
        if content[slot : slot + 16] != earlier[slot : slot + 16]:
            content[slot] ^= 0xFF
    acknowledged_file(path).write_bytes(content)
    assert read_ledger(path).acknowledged == before


def test_a_lost_acknowledgement_file_means_that_all_is_sent_again(begun):
    acknowledged_file(begun).unlink()
    with Ledger.open(begun, PIN) as ledger:
        assert (ledger.acknowledged, ledger.recorded) == (0, 5)
        ledger.record(0, make_identities(1, 2, 3))
        ledger.record(3, make_identities(4, 5, 6))
    assert np.array_equal(read_ledger(begun).identities, make_identities(1, 2, 3, 4, 5, 6))


def test_pending_records_must_come_out_the_same_again(begun):
    with Ledger.open(begun, PIN) as ledger, pytest.raises(LedgerMismatchError, match="nothing was sent"):
        ledger.record(4, make_identities(99, 6))
    assert len(read_ledger(begun).identities) == 5


def test_another_pin_is_refused_with_what_differs(begun):
    with pytest.raises(LedgerMismatchError, match="another encoder and recording;") as caught:
        Ledger.open(begun, PIN | {"encoder": 2, "recording": "cd34"})
    assert caught.value.exit_code == 4
    with pytest.raises(LedgerMismatchError, match="another device") as caught:
        Ledger.open(begun, PIN | {"imei": "001020000100013"})
    assert "001020000100013" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PISTONLG", b"something else entirely, and long enough"])
def test_a_damaged_beginning_is_no_ledger(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(LedgerDamagedError, match="does not begin"):
        Ledger.open(path, PIN)
    assert path.read_bytes() == content


def test_a_changed_pin_is_noticed(begun):
    content = bytearray(begun.read_bytes())
    content[20] ^= 1
    begun.write_bytes(content)
    with pytest.raises(LedgerDamagedError):
        read_ledger(begun)


def test_a_ledger_shorter_than_its_acknowledgements_is_damaged_and_stays(begun):
    os.truncate(begun, begun.stat().st_size - 1)
    size = begun.stat().st_size
    with pytest.raises(LedgerDamagedError, match="4 records were acknowledged but only 3"):
        Ledger.open(begun, PIN)
    assert begun.stat().st_size == size


def test_acknowledgements_without_their_ledger_do_not_count(begun):
    begun.unlink()
    with Ledger.open(begun, PIN) as ledger:
        assert (ledger.acknowledged, ledger.recorded) == (0, 0)


def test_a_whole_ledger_is_finished_once_all_is_acknowledged(begun):
    with Ledger.open(begun, PIN) as ledger:
        ledger.acknowledge(1)
        assert not ledger.is_finished
        ledger.finish()
    with Ledger.open(begun, PIN) as ledger:
        assert ledger.is_finished
        with pytest.raises(LedgerMismatchError, match="more records"):
            ledger.record(5, make_identities(6))


def test_a_source_that_ends_before_what_was_entered_is_refused(begun):
    with Ledger.open(begun, PIN) as ledger, pytest.raises(LedgerMismatchError, match="ended after 4"):
        ledger.finish()
    assert not read_ledger(begun).is_whole
