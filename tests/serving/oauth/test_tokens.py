"""A token is accepted for one reason only: everything about it is right."""

import base64
import hmac
import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, RSAKey

from serving.oauth.tokens import CLOCK_SKEW_S, TokenIssuer, TokenRefusedError, TokenVerifier
from serving.scopes import Scope
from tests.serving.world import CLIENT_ID, World, make_world


def make_verifier(world: World) -> TokenVerifier:
    return TokenVerifier(
        world.keys, issuer=world.settings.issuer, audience=world.settings.token_audience, clock=world.clock
    )


def encode(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def signed_with_the_public_key(world: World) -> str:
    """The classic confusion: the key that everybody has, used as an HMAC secret."""
    head = encode({"typ": "at+jwt", "alg": "HS256", "kid": world.keys.key_id})
    signed = f"{head}.{encode(world.claims())}"
    mac = hmac.digest(world.keys.signing.as_pem(private=False), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def test_what_was_issued_is_accepted(world: World) -> None:
    settings = world.settings
    issuer = TokenIssuer(
        world.keys,
        issuer=settings.issuer,
        audience=settings.token_audience,
        lifetime_s=settings.token_lifetime_s,
        clock=world.clock,
    )
    token = issuer.issue(CLIENT_ID, [Scope.DTC_READ, Scope.TELEMETRY_READ])
    access = make_verifier(world).verify(token)
    assert (access.client_id, access.scopes) == (CLIENT_ID, {Scope.DTC_READ, Scope.TELEMETRY_READ})
    assert (access.expires_at - world.clock.now).total_seconds() == settings.token_lifetime_s


def test_the_token_is_rfc_9068(world: World) -> None:
    issuer = TokenIssuer(world.keys, issuer="https://i", audience="a", lifetime_s=600, clock=world.clock)
    head, body, _ = issuer.issue(CLIENT_ID, [Scope.DTC_READ]).split(".")
    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    assert header == {"typ": "at+jwt", "alg": "ES256", "kid": world.keys.key_id}
    assert set(claims) == {"iss", "aud", "sub", "client_id", "scope", "jti", "iat", "exp"}
    assert claims["exp"] - claims["iat"] == 600


WRONG: dict[str, Callable[[World], str]] = {
    "empty": lambda world: "",
    "garbage": lambda world: "garbage",
    "three dots": lambda world: "...",
    "another issuer": lambda world: world.token(world.claims(iss="https://elsewhere.test")),
    "another audience": lambda world: world.token(world.claims(aud="another-api")),
    "no issuer": lambda world: world.token(world.claims(iss=None)),
    "no audience": lambda world: world.token(world.claims(aud=None)),
    "no expiry": lambda world: world.token(world.claims(exp=None)),
    "no time of issue": lambda world: world.token(world.claims(iat=None)),
    "no client": lambda world: world.token(world.claims(client_id=None)),
    "no subject": lambda world: world.token(world.claims(sub=None)),
    "no id": lambda world: world.token(world.claims(jti=None)),
    "a subject that is not the client": lambda world: world.token(world.claims(sub="pc_" + "b" * 20)),
    "a client that is no text": lambda world: world.token(world.claims(client_id=1, sub=1)),
    "scopes that are no text": lambda world: world.token(world.claims(scope=["dtc:read"])),
    "an expiry that is no number": lambda world: world.token(world.claims(exp="tomorrow")),
    "issued in the future": lambda world: world.token(world.claims(iat=world.claims()["iat"] + 3600)),
    "an ID token": lambda world: world.token(header={"typ": "JWT"}),
    "no type": lambda world: world.token(header={"typ": None}),
    "another key": lambda world: world.token(key=ECKey.generate_key("P-256")),
    "an unknown key id": lambda world: world.token(header={"kid": "unknown"}),
    "no key id": lambda world: world.token(header={"kid": None}),
    "a key of its own in the header": lambda world: world.token(
        header={"jwk": ECKey.generate_key("P-256").as_dict(private=False)}, key=ECKey.generate_key("P-256")
    ),
    "RS256": lambda world: world.token(header={"alg": "RS256"}, key=RSAKey.generate_key(2048)),
    "HS256 with the public key as secret": lambda world: signed_with_the_public_key(world),
    "alg none": lambda world: (
        encode({"typ": "at+jwt", "alg": "none", "kid": world.keys.key_id})
        + "."
        + encode(world.claims())
        + "."
    ),
    "claims that are a list": lambda world: world.token().replace(world.token().split(".")[1], encode([1])),
    "a changed claim": lambda world: ".".join(
        [(parts := world.token().split("."))[0], encode(world.claims(scope="score:read x")), parts[2]]
    ),
    "a cut signature": lambda world: world.token()[:-4],
    "too long": lambda world: world.token(world.claims(jti="x" * 5000)),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_token_is_refused_for(wrong: str, world: World) -> None:
    with pytest.raises(TokenRefusedError):
        make_verifier(world).verify(WRONG[wrong](world))


def test_a_token_ends_with_its_lifetime_and_the_clocks_difference(world: World) -> None:
    token, verifier = world.token(), make_verifier(world)
    world.clock.advance(seconds=600 + CLOCK_SKEW_S - 1)
    verifier.verify(token)
    world.clock.advance(seconds=2)
    with pytest.raises(TokenRefusedError, match="expired"):
        verifier.verify(token)


@given(text=st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_no_text_whatsoever_breaks_the_verifier(text: str) -> None:
    with pytest.raises(TokenRefusedError):
        make_verifier(_WORLD).verify(text)


@settings(max_examples=50)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists), st.data())
def test_no_signed_claim_whatsoever_breaks_the_verifier(value: object, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(_WORLD.claims())))
    token = _WORLD.token({**_WORLD.claims(), name: value})
    try:
        make_verifier(_WORLD).verify(token)
    except TokenRefusedError:
        return
    assert name in ("jti", "scope", "exp", "iat", "aud")


_WORLD = make_world()
