"""How long work tells its caller where it stands: one sentence at a time, shown or logged by the caller."""

from collections.abc import Callable

Progress = Callable[[str], None]


def silent(_: str) -> None:
    """The progress of a caller who does not want to know."""
