"""How a webhook is signed: the Standard Webhooks specification 1.0.0, symmetric signatures.

The signed content is `{id}.{timestamp}.{body}`, the signature `v1,` and the base64 of its HMAC-SHA256; the
key is the base64 after `whsec_`. Nothing here sends anything.
"""

import base64
import binascii
import hashlib
import hmac
from datetime import datetime
from typing import Final

from telematics.errors import ConfigurationError

PREFIX: Final = "whsec_"
_KEY_BYTES: Final = range(24, 65)
"""The specification's bounds: 192 to 512 bits."""


def signing_key(secret: str) -> bytes:
    """The key in a secret `whsec_…`.

    Raises:
        ConfigurationError: it is none; the message does not repeat it.
    """
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or len(key) not in _KEY_BYTES:
        message = f"a webhook secret is {PREFIX} and the base64 of 24 to 64 random bytes"
        raise ConfigurationError(message)
    return key


def signed_headers(key: bytes, message_id: str, sent_at: datetime, body: bytes) -> dict[str, str]:
    """The three headers that let the receiver know who sent the body, when, and whether it had it before.

    Args:
        key: from `signing_key`.
        message_id: the same for every attempt to deliver the message.
        sent_at: of this attempt.
        body: exactly as it is sent.
    """
    timestamp = int(sent_at.timestamp())
    content = b".".join([message_id.encode(), str(timestamp).encode(), body])
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }
