import pytest
from hypothesis import given
from hypothesis import strategies as st

from telematics import vin

ALPHABET = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"


# 49 CFR 565 and ISO 3779 texts use these as worked examples of a right check digit.
@pytest.mark.parametrize("valid", ["1M8GDM9AXKP042788", "11111111111111111", "5GZCZ43D13S812715"])
def test_known_vins_have_a_valid_check_digit(valid: str) -> None:
    assert vin.is_well_formed(valid)
    assert vin.has_valid_check_digit(valid)


def test_the_blueprints_own_sample_is_well_formed_though_its_check_digit_is_wrong() -> None:
    assert vin.parse("1HGCM82633A123456") == "1HGCM82633A123456"
    assert not vin.has_valid_check_digit("1HGCM82633A123456")


@pytest.mark.parametrize(
    "text",
    ["", "1HGCM82633A12345", "1HGCM82633A1234567", "1HGCM82633A12345I", "1HGCM82633A12345Ö", "１" * 17],
)
def test_what_is_not_a_vin_is_refused(text: str) -> None:
    with pytest.raises(vin.InvalidVinError, match="17 characters"):
        vin.parse(text)


def test_small_letters_and_blanks_around_are_mended() -> None:
    assert vin.parse(" 1m8gdm9axkp042788\n") == "1M8GDM9AXKP042788"


@given(st.text(ALPHABET, min_size=17, max_size=17))
def test_a_vin_given_its_check_digit_has_a_valid_one(text: str) -> None:
    assert vin.has_valid_check_digit(vin.with_check_digit(text))
