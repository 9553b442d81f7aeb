"""Python's cycle collector, told what kind of process this is."""

import gc
from typing import Final

_YOUNG: Final = 100_000
_MIDDLE: Final = 20
_OLD: Final = 50


def expect_batches() -> None:
    """Leave what exists by now alone, and look for cycles rarely.

    A consumer makes some thousand objects a batch, nearly all of which go by their reference counts; with the
    usual thresholds the collector would walk over them, and over everything that was loaded at the start,
    many times a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
