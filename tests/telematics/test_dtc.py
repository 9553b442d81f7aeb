import pytest

from ml.health import SAFETY_CODES
from simulation.fleet.parameters import Codes
from telematics.dtc import DTC, maybe_meaning, meanings


def test_every_known_code_is_one_and_has_a_meaning():
    assert len(meanings()) > 100
    assert all(DTC.fullmatch(code) for code in meanings())
    assert all(meaning == meaning.strip() and meaning for meaning in meanings().values())


def test_the_codes_that_piston_itself_works_with_have_a_meaning():
    codes = Codes()
    assert {*SAFETY_CODES, *codes.unrelated, codes.low_voltage} <= set(meanings())


@pytest.mark.parametrize(
    ("code", "is_one"),
    [
        ("P0300", True),
        ("P0A7F", True),
        ("U0100-87", True),
        ("P4300", False),
        ("p0300", False),
        ("P030", False),
        ("X0300", False),
        ("P0300-8", False),
    ],
)
def test_a_code_has_a_system_and_four_digits(code, is_one):
    assert bool(DTC.fullmatch(code)) is is_one


def test_a_failure_type_changes_no_meaning_and_an_unknown_code_has_none():
    assert maybe_meaning("P0300") == maybe_meaning("P0300-87") == meanings()["P0300"]
    assert maybe_meaning("P1234") is None
