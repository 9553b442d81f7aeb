"""The `Idempotency-Key` header: a string of RFC 9651 (Structured Fields), quotation marks included."""

import re
from collections.abc import Sequence
from typing import Any, Final

from serving.problems.errors import IdempotencyKeyError

HEADER: Final = "Idempotency-Key"
MAX_LENGTH: Final = 255
"""A UUID has 36; ours goes into an index."""

# RFC 9651 section 3.3.3: printable ASCII, quotation mark and backslash only behind a backslash
_STRING: Final = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])+)"')
_PATTERN: Final = '^"[ !#-\\[\\]-~]{1,255}"$'

PARAMETER: Final[dict[str, Any]] = {
    "name": HEADER,
    "in": "header",
    "required": True,
    "description": "Names this one request, in quotation marks. Sent again within 24 hours with the same "
    "body, the first answer comes back and nothing happens twice. A request that failed runs again.",
    "schema": {"type": "string", "pattern": _PATTERN},
    "example": '"8e03978e-40d5-43dd-bc93-6894a57f9324"',
}
"""The header as OpenAPI parameter. FastAPI's own would answer 422 where the draft wants 400."""


def parse_key(values: Sequence[str]) -> str:
    """The key's text.

    Args:
        values: contents of every header line of that name.

    Raises:
        IdempotencyKeyError: there is none, or more than one, or it is no such string.
    """
    if not values:
        detail = f'Send {HEADER}: "…" with a text of your own that names this request, such as a UUID.'
        raise IdempotencyKeyError(detail)
    found = _STRING.fullmatch(values[0].strip()) if len(values) == 1 else None
    if found is None:
        detail = (
            f'{HEADER} must come once, as printable ASCII in quotation marks (RFC 9651): {HEADER}: "8e03…".'
        )
        raise IdempotencyKeyError(detail)
    key = re.sub(r"\\(.)", r"\1", found.group(1))
    if len(key) > MAX_LENGTH:
        detail = f"{HEADER} may have {MAX_LENGTH} characters."
        raise IdempotencyKeyError(detail)
    return key
