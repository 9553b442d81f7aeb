"""One POST to the operator's own address: signed, short of patience, and never sent on to another address.

Straight to the address, without a proxy; an answer that points elsewhere is a refusal.
"""

import http.client
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from orchestration.errors import UndeliveredError
from telematics.standard_webhooks import signed_headers

TIMEOUT_S: Final = 5.0
"""Of connecting and of each wait for an answer; a sensor's tick ends after a minute."""
CONTENT_TYPE: Final = "application/cloudevents+json; charset=UTF-8"
_TOO_MANY_REQUESTS: Final = 429
_REQUEST_TIMEOUT: Final = 408


def post(
    url: str,
    body: bytes,
    message_id: str,
    key: bytes | None,
    sent_at: datetime,
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Deliver one event; returns once the receiver answered 2xx.

    Args:
        url: http or https; the settings see to that.
        body: a CloudEvent in JSON.
        message_id: the same at every attempt.
        key: signs the body; None leaves it unsigned.
        sent_at: of this attempt.
        timeout_s: patience with a silent receiver.

    Raises:
        UndeliveredError: no answer, or none that says it was taken. `is_final` tells a receiver that will
            never take it from one that may later. The message holds neither address nor body.
    """
    headers = {"Content-Type": CONTENT_TYPE, "User-Agent": "piston"}
    if key is not None:
        headers |= signed_headers(key, message_id, sent_at, body)
    address = urlsplit(url)
    target = urlunsplit(("", "", address.path or "/", address.query, ""))
    connect = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = connect(address.netloc.rpartition("@")[2], timeout=timeout_s)
    try:
        connection.request("POST", target, body, headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        message = f"the webhook's receiver does not answer ({type(error).__name__})"
        raise UndeliveredError(message, is_final=False) from None
    finally:
        connection.close()
    if not 200 <= status < 300:
        message = f"the webhook's receiver answered {status}"
        raise UndeliveredError(message, is_final=_is_final(status))


def _is_final(status: int) -> bool:
    """Whether the same request would be refused again: 3xx and 4xx, but for "too many" and "too slow"."""
    return 300 <= status < 500 and status not in (_TOO_MANY_REQUESTS, _REQUEST_TIMEOUT)
