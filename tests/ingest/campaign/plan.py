"""What is killed when: pure, and the same for the same seed.

Rounds come in decks of ten. A deck kills gateway, sink, broker and database twice each, once of these in
pairs, the live writer twice, and the two servers that no frame waits for once; each deck is shuffled.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final


class Victim(StrEnum):
    """What is killed, by the name under which it is supervised."""

    GATEWAY = "gateway"
    SINK = "sink"
    LIVE = "live"
    BROKER = "kafka"
    DATABASE = "timescale"
    LIVE_STORE = "valkey"
    WAREHOUSE = "clickhouse"


DECK: Final = (
    (Victim.GATEWAY,),
    (Victim.SINK,),
    (Victim.LIVE,),
    (Victim.LIVE,),
    (Victim.BROKER,),
    (Victim.DATABASE,),
    (Victim.SINK, Victim.BROKER),
    (Victim.GATEWAY, Victim.DATABASE),
    (Victim.LIVE_STORE,),
    (Victim.WAREHOUSE,),
)
_SHORTEST_S: Final = 0.2
_LONGEST_S: Final = 1.2


@dataclass(frozen=True, slots=True)
class Round:
    """One blow: who dies, and how long after the round before was over."""

    number: int
    """From 1."""
    victims: tuple[Victim, ...]
    delay_s: float


def plan(seed: int, count: int) -> tuple[Round, ...]:
    """The rounds of a campaign; a longer one begins with those of a shorter one."""
    blows = _blows(Random(seed))
    return tuple(Round(number, *next(blows)) for number in range(1, count + 1))


def _blows(random: Random) -> Iterator[tuple[tuple[Victim, ...], float]]:
    while True:
        for victims in random.sample(DECK, len(DECK)):
            yield victims, round(random.uniform(_SHORTEST_S, _LONGEST_S), 3)


def sittings(rounds: tuple[Round, ...], size: int) -> list[tuple[Round, ...]]:
    """Rounds in groups that run on one fresh stack each and are judged together."""
    return [rounds[first : first + size] for first in range(0, len(rounds), size)]
