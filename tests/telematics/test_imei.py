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


@pytest.mark.parametrize("key", [None, "352093081452251", b"", b"35209308145225", b"3520930814522510"])
def test_a_key_of_another_kind_or_length_is_no_imei(key: object) -> None:
    assert not imei.is_key(key)


@pytest.mark.parametrize("key", [b"35209308145225x", b"+52093081452251", "٣52093081452251".encode()[:15]])
def test_a_key_with_anything_but_ascii_digits_is_no_imei(key: bytes) -> None:
    assert len(key) == imei.IMEI_LENGTH
    assert not imei.is_key(key)


def test_a_key_of_15_ascii_digits_is_an_imei() -> None:
    assert imei.is_key(b"352093081452251")
