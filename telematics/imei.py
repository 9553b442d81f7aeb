"""IMEI: 15 digits, the last a Luhn digit (3GPP TS 23.003, section 6.2).

A wrong Luhn digit is no reason to refuse a device: trackers with one exist and work.
"""

from typing import TypeGuard

from telematics.errors import ConfigurationError

IMEI_LENGTH = 15


class InvalidImeiError(ConfigurationError):
    """The text is not an IMEI: exactly 15 digits."""


def is_well_formed(imei: str) -> bool:
    """Whether the text is 15 ASCII digits."""
    return len(imei) == IMEI_LENGTH and imei.isascii() and imei.isdigit()


def is_key(key: object) -> TypeGuard[bytes]:
    """Whether a message's key is an IMEI: 15 ASCII digits."""
    return isinstance(key, bytes) and len(key) == IMEI_LENGTH and key.isdigit()


def parse(text: str) -> str:
    """The IMEI without the blanks around it.

    Raises:
        InvalidImeiError: the text is not 15 digits.
    """
    imei = text.strip()
    if not is_well_formed(imei):
        message = "an IMEI has exactly 15 digits (3GPP TS 23.003)"
        raise InvalidImeiError(message)
    return imei


def luhn_digit(body: str) -> str:
    """The Luhn check digit of the first 14 digits."""
    total = 0
    for position, char in enumerate(reversed(body)):
        digit = int(char) * (2 if position % 2 == 0 else 1)
        total += digit - 9 if digit > 9 else digit
    return str(-total % 10)
