import pytest

from serving.device_keys.secrets import hash_secret, is_key_id, matches, new_key, parse_key


def test_a_new_key_is_found_again_and_matches_its_hash():
    key = new_key()
    assert parse_key(str(key)) == key
    assert is_key_id(key.key_id)
    assert matches(key.secret, hash_secret(key.secret))


def test_another_secret_does_not_match():
    assert not matches(new_key().secret, hash_secret(new_key().secret))


def test_neither_the_hash_nor_the_printed_value_holds_the_secret():
    key = new_key()
    assert key.secret not in hash_secret(key.secret) + repr(key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pdk_",
        "pdk_" + "a" * 20,
        "pdk_" + "a" * 20 + "_" + "b" * 42,
        "é" * 68,
        "pdk_" + "a" * 20 + "_" + "b" * 43 + "\0",
    ],
)
def test_what_has_not_a_keys_form_is_none(text):
    assert parse_key(text) is None
