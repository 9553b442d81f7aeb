"""What arrives on connections: logins, frames whole and damaged, pings, garbage; cut anyhow; by seed."""

import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from ingest.codec8.encoding import encode_login
from tests.ingest.batch.frames import IMEI, damage, make_datagram, make_frame

PIECES = (
    "login", "login with letters", "login of another length", "no login",
    "ping", "whole frame", "damaged frame", "garbage", "datagram", "second login", "frame without its end",
)  # fmt: skip
CHANGES = ("byte changed", "bytes lost", "bytes repeated")
"""What happens to a stream as a whole, wherever its frames begin."""
SPLITS = ("one segment", "a segment a piece", "cuts near the borders", "cuts anywhere", "a byte a segment")
_LONGEST = 60_000
"""A login and more than a frame's greatest length in one segment is refused: that depends on the split."""
_LONGEST_BY_BYTES = 3_000


class Pool(NamedTuple):
    """Frames to make streams of; made once for many streams."""

    whole: Sequence[bytes]
    damaged: Sequence[bytes]
    datagrams: Sequence[bytes]


def make_pool(chance: random.Random, size: int, seen: Counter[str]) -> Pool:
    whole = [make_frame(chance, seen) for _ in range(size)]
    damaged = [damage(chance, frame, seen) for frame in whole]
    return Pool(whole, damaged, [make_datagram(chance, seen) for _ in range(size // 10)])


def make_stream(chance: random.Random, pool: Pool, seen: Counter[str]) -> list[bytes]:
    """A stream in the segments in which it arrives. What it is made of is counted in `seen`."""
    pieces = [_make_login(chance, seen)]
    if chance.random() < 0.1:
        pieces.insert(0, _count(seen, "ping", b"\xff"))
    for _ in range(chance.choice((0, 1, 2, 3, 6))):
        pieces.append(_make_piece(chance, pool, seen))
    if chance.random() < 0.2:
        frame = chance.choice(pool.whole)
        pieces.append(_count(seen, "frame without its end", frame[: chance.randrange(1, len(frame))]))
    while sum(map(len, pieces)) > _LONGEST:
        pieces.pop()
    if chance.random() < 0.2:
        pieces = [_change(chance, b"".join(pieces), seen)]
    return _split(chance, pieces, seen)


def _make_login(chance: random.Random, seen: Counter[str]) -> bytes:
    login = encode_login(IMEI)
    kind = chance.choices(
        ("login", "login with letters", "login of another length", "no login"), (91, 3, 3, 3)
    )[0]
    match kind:
        case "login with letters":
            place = chance.randrange(2, len(login))
            login = login[:place] + b"X" + login[place + 1 :]
        case "login of another length":
            login = chance.choice(
                (b"\x00\x10" + login[2:] + b"1", b"\x00\x0e" + login[2:-1], b"\x01" + login)
            )
        case "no login":
            login = b""
    return _count(seen, kind, login)


def _make_piece(chance: random.Random, pool: Pool, seen: Counter[str]) -> bytes:
    kinds = ("whole frame", "damaged frame", "ping", "garbage", "datagram", "second login")
    kind = chance.choices(kinds, (70, 14, 8, 4, 2, 2))[0]
    match kind:
        case "whole frame":
            piece = chance.choice(pool.whole)
        case "damaged frame":
            piece = chance.choice(pool.damaged)
        case "ping":
            piece = b"\xff" * chance.choice((1, 1, 2, 40))
        case "garbage":
            piece = chance.randbytes(chance.randint(1, 60))
        case "datagram":
            piece = chance.choice(pool.datagrams)
        case _:
            piece = encode_login(IMEI)
    return _count(seen, kind, piece)


def _change(chance: random.Random, stream: bytes, seen: Counter[str]) -> bytes:
    if not stream:
        return stream
    place = chance.randrange(len(stream))
    kind = chance.choice(CHANGES)
    seen[kind] += 1
    match kind:
        case "byte changed":
            return stream[:place] + bytes([chance.getrandbits(8)]) + stream[place + 1 :]
        case "bytes lost":
            return stream[:place] + stream[place + chance.randint(1, 20) :]
        case _:
            return stream[:place] + stream[max(0, place - chance.randint(1, 400)) :]


def _split(chance: random.Random, pieces: list[bytes], seen: Counter[str]) -> list[bytes]:
    stream = b"".join(pieces)
    kind = chance.choice(SPLITS)
    if kind == "a byte a segment" and len(stream) > _LONGEST_BY_BYTES:
        kind = "cuts anywhere"
    seen[kind] += 1
    match kind:
        case "one segment":
            return [stream]
        case "a segment a piece":
            return pieces
        case "a byte a segment":
            return [stream[at : at + 1] for at in range(len(stream))]
        case "cuts near the borders":
            borders = [sum(map(len, pieces[: number + 1])) for number in range(len(pieces))]
            places = {border + chance.randint(-13, 13) for border in borders}
        case _:
            places = {chance.randrange(len(stream) + 1) for _ in range(chance.randint(1, 9))}
    cuts = [0, *sorted(place for place in places if 0 < place < len(stream)), len(stream)]
    return [stream[start:end] for start, end in pairwise(cuts)]


def _count(seen: Counter[str], kind: str, piece: bytes) -> bytes:
    seen[kind] += 1
    return piece
