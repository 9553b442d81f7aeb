"""Python's cycle collector in the long-lived processes of ingest."""

import gc
from typing import Final

_YOUNG: Final = 100_000
_MIDDLE: Final = 20
_OLD: Final = 50


def spare_collector() -> None:
    """Leave what exists by now alone, and look for cycles rarely.

    What is imported lives as long as the process. Sessions hold no cycles, and of the thousands of objects
    that a batch makes nearly all go by their reference counts; at its usual pace the collector would walk
    over them, and over everything that was loaded, many times a second, and find nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
