"""The keys that sign access tokens: ES256 over P-256, published as a JWK set.

`PISTON_TOKEN_PRIVATE_KEY` may hold several PEM blocks: the first signs, all of them verify. To rotate, put
the new key in front and take the old one out when the last of its tokens has expired.
"""

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

from telematics.errors import ConfigurationError
from telematics.settings import Environment, Settings

ALGORITHM = "ES256"
KEY_FILE = "token_signing_key.pem"

_PEM_BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", re.DOTALL)


class SigningKeyError(ConfigurationError):
    """The signing key is missing or is no P-256 private key."""


class SigningKeys:
    """The private keys; the first one signs."""

    def __init__(self, keys: Sequence[ECKey]) -> None:
        self.signing = keys[0]
        self.verifying = KeySet(list(keys))

    @property
    def key_id(self) -> str:
        """`kid` of the signing key: its RFC 7638 thumbprint."""
        return str(self.signing.kid)

    def jwks(self) -> dict[str, Any]:
        """The public keys (RFC 7517)."""
        return {"keys": [key.as_dict(private=False) for key in self.verifying.keys]}


def parse_keys(pem: str) -> SigningKeys:
    """The keys of one or more PEM blocks.

    Raises:
        SigningKeyError: there is no block, or one is no P-256 private key.
    """
    keys = []
    for block in _PEM_BLOCK.finditer(pem):
        try:
            key = ECKey.import_key(block[0], {"use": "sig", "alg": ALGORITHM})
        except (JoseError, ValueError, TypeError) as error:
            raise SigningKeyError(_NOT_A_KEY) from error
        if key.curve_name != "P-256" or not key.is_private:
            raise SigningKeyError(_NOT_A_KEY)
        key.ensure_kid()
        keys.append(key)
    if not keys:
        raise SigningKeyError(_NOT_A_KEY)
    return SigningKeys(keys)


_NOT_A_KEY = (
    "PISTON_TOKEN_PRIVATE_KEY does not hold a P-256 private key in PEM form; make one with "
    "`openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`"
)


def load_keys(settings: Settings) -> SigningKeys:
    """The keys from the settings; in development and test, from a file made once in the stack's state.

    Raises:
        SigningKeyError: the key is missing or wrong.
    """
    if settings.token_private_key is not None:
        return parse_keys(settings.token_private_key.get_secret_value())
    if settings.environment not in (Environment.DEVELOPMENT, Environment.TEST):
        message = "PISTON_TOKEN_PRIVATE_KEY is not set; outside development the signing key comes from there"
        raise SigningKeyError(message)
    return parse_keys(_development_key(settings.state / KEY_FILE))


def _development_key(path: Path) -> str:
    """The file's key, made first where there is none; two processes that start at once end with the same."""
    try:
        return path.read_text()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    pem = ECKey.generate_key("P-256").as_pem(private=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        # a link fails where the name is taken: whoever comes second reads what the first one wrote
        path.hardlink_to(name)
    except FileExistsError:
        pass
    finally:
        Path(name).unlink()
    return path.read_text()
