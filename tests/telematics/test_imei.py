import pytest

from telematics import imei


def test_luhn_digit_of_a_well_known_imei() -> None:
    assert imei.luhn_digit("49015420323751") == "8"


@pytest.mark.parametrize("text", ["", "1234", "35630704244101a", "3563070424410133", "٣٥٦٣٠٧٠٤٢٤٤١٠١٣"])
def test_what_is_not_fifteen_ascii_digits_is_refused(text: str) -> None:
    with pytest.raises(imei.InvalidImeiError, match="15 digits"):
        imei.parse(text)


def test_a_wrong_luhn_digit_is_accepted() -> None:
    assert imei.parse("490154203237510") == "490154203237510"
