"""Client ids and secrets: made here, shown once, kept as Argon2id hashes."""

import asyncio
import re
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_CLIENT_ID = re.compile(r"pc_[a-z2-7]{20}")
_SECRET = re.compile(r"pcs_[A-Za-z0-9_-]{43}")
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"

# OWASP's smallest Argon2id set (19 MiB, two passes): the secret is 256 random bits, so the hash has to slow
# nobody down who guesses; it keeps a stolen table from being credentials.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)

_ABSENT = _HASHER.hash(secrets.token_urlsafe(32))
"""Checked when a client is unknown, so that its answer takes as long as a wrong secret's."""

_CONCURRENT_CHECKS = 4
"""Bounds the memory that a flood of token requests can take: 4 × 19 MiB."""


def new_client_id() -> str:
    """A fresh public identifier: 100 random bits."""
    return "pc_" + "".join(secrets.choice(_BASE32) for _ in range(20))


def new_secret() -> str:
    """A fresh secret: 256 random bits with a prefix that secret scanners can find."""
    return "pcs_" + secrets.token_urlsafe(32)


def is_client_id(text: str) -> bool:
    """Whether the text has a client id's form; nothing else ever reaches the database."""
    return _CLIENT_ID.fullmatch(text) is not None


def hash_secret(secret: str) -> str:
    """The Argon2id hash to store (PHC string)."""
    return _HASHER.hash(secret)


def _matches(secret: str, secret_hash: str) -> bool:
    try:
        return _HASHER.verify(secret_hash, secret)
    except (VerificationError, InvalidHashError):
        return False


class SecretChecker:
    """Checks secrets off the event loop, a bounded number at a time."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(_CONCURRENT_CHECKS)

    async def matches(self, secret: str, secret_hash: str | None) -> bool:
        """Whether the secret is the hashed one; None (no such client) costs the same and is never true."""
        well_formed = _SECRET.fullmatch(secret) is not None
        async with self._slots:
            same = await asyncio.to_thread(_matches, secret if well_formed else "-", secret_hash or _ABSENT)
        return same and well_formed and secret_hash is not None
