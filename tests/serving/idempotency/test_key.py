import re

import pytest

from serving.idempotency.key import PARAMETER, parse_key
from serving.problems.errors import IdempotencyKeyError

PATTERN = re.compile(PARAMETER["schema"]["pattern"])


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ('"8e03978e-40d5-43dd-bc93-6894a57f9324"', "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('  "a"  ', "a"),
        ('" "', " "),
        (r'"a\"b\\c"', r"a\"b\c".replace("\\", "", 1)),
        ('"' + "k" * 255 + '"', "k" * 255),
    ],
)
def test_a_structured_string_is_a_key(header, key):
    assert parse_key([header]) == key


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [""],
        ['""'],
        ["8e03978e"],
        ['"a', 'b"'],
        ['"a"', '"a"'],
        ['"a"; p=1'],
        ['"a"b"'],
        ['"a\\b"'],
        ['"a\x00"'],
        ['"ä"'],
        ['"' + "k" * 256 + '"'],
        [":YWJj:"],
    ],
)
def test_anything_else_is_refused(headers):
    with pytest.raises(IdempotencyKeyError):
        parse_key(headers)


def test_the_documented_pattern_takes_a_key_and_no_bare_word():
    assert PATTERN.search(PARAMETER["example"])
    assert not PATTERN.search("8e03978e")
