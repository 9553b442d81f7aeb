"""A device key's text: a public id and a secret in one word, `pdk_{id}_{secret}`.

The secret is 256 random bits, which nobody guesses, so a plain SHA-256 keeps a stolen table from being keys;
a slow hash would only slow down the API, which checks a key with every post.
"""

import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

_KEY = re.compile(r"(pdk_[a-z2-7]{20})_([A-Za-z0-9_-]{43})")
_KEY_ID = re.compile(r"pdk_[a-z2-7]{20}")
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"


class DeviceKey(NamedTuple):
    """A key in its two parts."""

    key_id: str
    secret: str

    def __str__(self) -> str:
        """What the device sends."""
        return f"{self.key_id}_{self.secret}"

    def __repr__(self) -> str:
        """Without the secret."""
        return f"DeviceKey(key_id={self.key_id!r})"


def new_key() -> DeviceKey:
    """A fresh key: 100 random bits of id, 256 of secret, a prefix that secret scanners can find."""
    key_id = "pdk_" + "".join(secrets.choice(_BASE32) for _ in range(20))
    return DeviceKey(key_id, secrets.token_urlsafe(32))


def parse_key(text: str) -> DeviceKey | None:
    """The key's parts; None where the text has not a key's form."""
    found = _KEY.fullmatch(text)
    return None if found is None else DeviceKey(*found.groups())


def is_key_id(text: str) -> bool:
    """Whether the text has the form of a key's id."""
    return _KEY_ID.fullmatch(text) is not None


def hash_secret(secret: str) -> str:
    """What is stored of a secret."""
    return "sha256:" + hashlib.sha256(secret.encode()).hexdigest()


def matches(secret: str, secret_hash: str) -> bool:
    """Whether the secret is the hashed one; takes the same time whatever is wrong with it."""
    return hmac.compare_digest(hash_secret(secret).encode(), secret_hash.encode())
