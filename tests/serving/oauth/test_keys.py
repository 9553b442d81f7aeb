import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, RSAKey

from serving.oauth.keys import KEY_FILE, SigningKeyError, load_keys, parse_keys
from telematics.settings import Settings


def make_pem(curve: str = "P-256") -> str:
    return ECKey.generate_key(curve).as_pem(private=True).decode()


def make_settings(folder: Path, **changes: object) -> Settings:
    return Settings(environment="test", data_dir=folder, _env_file=None, **changes)


def test_the_published_keys_hold_nothing_private() -> None:
    for key in parse_keys(make_pem() + make_pem()).jwks()["keys"]:
        assert set(key) == {"kty", "crv", "x", "y", "use", "alg", "kid"}
        assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")


def test_the_first_key_signs_and_all_verify() -> None:
    new, old = make_pem(), make_pem()
    keys = parse_keys(f"{new}\n{old}")
    assert keys.key_id == parse_keys(new).key_id
    assert [key["kid"] for key in keys.jwks()["keys"]] == [parse_keys(new).key_id, parse_keys(old).key_id]


@pytest.mark.parametrize(
    "pem",
    [
        "",
        "garbage",
        make_pem("P-384"),
        ECKey.generate_key("P-256").as_pem(private=False).decode(),
        RSAKey.generate_key(2048).as_pem(private=True).decode(),
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
    ],
)
def test_anything_but_a_private_p256_key_is_one_sentence_without_the_key(pem: str) -> None:
    with pytest.raises(SigningKeyError, match="PISTON_TOKEN_PRIVATE_KEY") as refused:
        parse_keys(pem)
    assert "AAAA" not in str(refused.value)


def test_development_makes_its_key_once_and_for_its_owner_only(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    first, again = load_keys(settings), load_keys(settings)
    assert first.key_id == again.key_id
    assert stat.S_IMODE((settings.state / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in settings.state.iterdir()] == [KEY_FILE]


def test_processes_that_start_together_end_with_one_key(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        assert len({keys.key_id for keys in pool.map(lambda _: load_keys(settings), range(16))}) == 1


def test_a_key_from_the_settings_comes_first(tmp_path: Path) -> None:
    pem = make_pem()
    assert load_keys(make_settings(tmp_path, token_private_key=pem)).key_id == parse_keys(pem).key_id
    assert list(tmp_path.iterdir()) == []
