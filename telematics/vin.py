"""Vehicle identification numbers: form and check digit (ISO 3779, 49 CFR 565.15).

A malformed VIN is refused. A wrong check digit is only worth a warning: it is mandatory in North America
and China alone, and even the blueprint's own sample `1HGCM82633A123456` fails it.
"""

import re

from telematics.errors import ConfigurationError

_FORM = re.compile(r"[A-HJ-NPR-Z0-9]{17}")

_TRANSLITERATION = {
    **{str(digit): digit for digit in range(10)},
    **dict(zip("ABCDEFGH", range(1, 9), strict=True)),
    **dict(zip("JKLMN", range(1, 6), strict=True)),
    "P": 7,
    "R": 9,
    **dict(zip("STUVWXYZ", range(2, 10), strict=True)),
}
_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_CHECK_POSITION = 8


class InvalidVinError(ConfigurationError):
    """The text is not a VIN: 17 characters, capitals and digits without I, O and Q."""


def is_well_formed(vin: str) -> bool:
    """Whether the text has a VIN's form; the check digit is not looked at."""
    return _FORM.fullmatch(vin) is not None


def parse(text: str) -> str:
    """The VIN in capitals, blanks around it removed.

    Raises:
        InvalidVinError: the text has not the form of a VIN.
    """
    vin = text.strip().upper()
    if not is_well_formed(vin):
        message = "a VIN has 17 characters: digits and capital letters without I, O and Q (ISO 3779)"
        raise InvalidVinError(message)
    return vin


def check_digit(vin: str) -> str:
    """The check digit that position 9 ought to hold (49 CFR 565.15(c)): `0` to `9` or `X`."""
    remainder = sum(_TRANSLITERATION[char] * weight for char, weight in zip(vin, _WEIGHTS, strict=True)) % 11
    return "X" if remainder == 10 else str(remainder)


def has_valid_check_digit(vin: str) -> bool:
    """Whether position 9 of a well-formed VIN holds its check digit."""
    return vin[_CHECK_POSITION] == check_digit(vin)


def with_check_digit(vin: str) -> str:
    """The VIN with position 9 replaced by its check digit."""
    return vin[:_CHECK_POSITION] + check_digit(vin) + vin[_CHECK_POSITION + 1 :]
