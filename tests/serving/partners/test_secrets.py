from serving.partners import secrets
from serving.partners.models import Partner, Tier
from serving.partners.service import Credentials
from serving.scopes import PartnerKind, Scope
from tests.serving.world import CLIENT_ID, NOW, known_secret


def test_ids_and_secrets_are_fresh_and_recognisable() -> None:
    assert len({secrets.new_client_id() for _ in range(50)}) == 50
    assert len({secrets.new_secret() for _ in range(50)}) == 50
    assert secrets.is_client_id(secrets.new_client_id())
    assert secrets.new_secret().startswith("pcs_")


def test_only_a_client_ids_form_reaches_the_database() -> None:
    for text in (
        "",
        "admin",
        "pc_",
        "pc_" + "A" * 20,
        "pc_" + "a" * 21,
        "pc_" + "a" * 19 + "\0",
        "' or 1=1 --",
    ):
        assert not secrets.is_client_id(text)


def test_the_hash_is_argon2id_and_holds_no_secret() -> None:
    secret, secret_hash = known_secret()
    assert secret_hash.startswith("$argon2id$")
    assert secret not in secret_hash


async def test_a_secret_matches_its_own_hash_and_no_other() -> None:
    secret, secret_hash = known_secret()
    checker = secrets.SecretChecker()
    assert await checker.matches(secret, secret_hash)
    assert not await checker.matches(secrets.new_secret(), secret_hash)
    assert not await checker.matches(secret, None)
    assert not await checker.matches("-", None)
    assert not await checker.matches(secret + "\ud800", secret_hash)
    assert not await checker.matches(secret, "not a hash")


def test_credentials_do_not_show_their_secret_by_accident() -> None:
    partner = Partner(CLIENT_ID, "N", PartnerKind.DEALER, Tier.PREMIUM, frozenset(Scope), NOW)
    assert "pcs_" not in repr(Credentials(partner, "pcs_very_secret"))
