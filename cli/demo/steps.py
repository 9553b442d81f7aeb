"""Steps of the demo: titled, timed, and told while they run."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Steps:
    """Keeps the seconds of each step, in order."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Announce a step, time it, and say how long it took."""
        print(f"\n▶ {title}", flush=True)
        started = time.monotonic()
        yield
        self.seconds[title] = time.monotonic() - started
        print(f"  {self.seconds[title]:.1f} s", flush=True)


def say(text: str) -> None:
    """One line of progress below the step's title."""
    print(f"  {text}", file=sys.stdout, flush=True)
