"""Which fields of an answer are empty, and why.

A field is null for one of two reasons, and the answer says which: `withheld` lists what the token or the
owner's consent does not cover, `pending` what no source has delivered (yet). What is withheld is never also
pending: whether a value exists is itself part of the data.
"""

from collections.abc import Collection
from typing import TypeVar

from serving.consent.gate import VehicleAccess
from serving.scopes import Scope

Value = TypeVar("Value")


class Disclosure:
    """Keeps the two lists while an answer is built."""

    def __init__(self, access: VehicleAccess) -> None:
        self._access = access
        self.pending: list[str] = []
        self.withheld: list[str] = []

    def field(self, path: str, value: Value | None, any_of: Collection[Scope]) -> Value | None:
        """The value if one of the scopes is held and there is one; else None, and its path is listed."""
        if not any(self._access.allows(scope) for scope in any_of):
            self.withheld.append(path)
            return None
        if value is None:
            self.pending.append(path)
        return value
