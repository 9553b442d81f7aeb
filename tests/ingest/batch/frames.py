"""Frames of every shape and damaged ones, by seed: for runs of many thousands."""

import random
from collections import Counter
from collections.abc import Iterable

from ingest.codec8.encoding import encode_command_frame, encode_tcp_frame, encode_udp_datagram, wrap_tcp
from ingest.codec8.records import AvlPacket, AvlRecord, CodecId, IoElement, UdpDatagram
from ingest.measurement import column_elements
from telematics.avl.dictionary import Family, elements

AVL = (CodecId.CODEC_8, CodecId.CODEC_8_EXTENDED, CodecId.CODEC_16)
IMEI = "001000000000017"
FEATURES = (
    *(f"codec {codec.label}" for codec in AVL),
    *(f"width {width}" for width in (1, 2, 4, 8)),
    "variable length",
    "variable length 0",
    "variable length 1000",
    "no elements",
    "no records",
    "255 records",
    "negative altitude",
    "negative latitude",
    "negative longitude",
    "off the globe",
    "generation type above 7",
    "priority above 2",
    "no satellites",
    "id twice",
    "unknown id",
    *(f"ids of family {family}" for family in Family),
)
MUTATIONS = ("set", "count", "cut", "cut_end", "insert", "double", "n2", "sealed anew", "bytes behind")
"""Kinds of damage, counted as `features` counts."""

_KEYS = sorted({key for family in Family for key in elements(family)})
_KEYS_OF_FAMILY = {family: frozenset(elements(family)) for family in Family}
_KEYS_WITH_COLUMN = sorted({key for family in Family for key in column_elements(family)})
_EXTREMES = (0, 1, 2**31 - 1, -(2**31))


def make_packet(chance: random.Random, size: int | None = None) -> AvlPacket:
    """A packet of any codec; sizes are mostly small, and now and then the greatest."""
    codec = chance.choice(AVL)
    if size is None:
        size = 255 if chance.random() < 0.003 else chance.choice((0, 1, 1, 1, 2, 3, 5))
    element_count = chance.choice((0, 1, 4, 18)) if size < 100 else 1
    return AvlPacket(codec, tuple(make_record(chance, codec, element_count) for _ in range(size)))


def make_record(chance: random.Random, codec: CodecId, element_count: int) -> AvlRecord:
    has_long_ids = codec is not CodecId.CODEC_8
    is_extreme = chance.random() < 0.1
    ids = [_element(chance, codec) for _ in range(element_count)]
    if ids and chance.random() < 0.1:
        ids.append(ids[0])
    return AvlRecord(
        timestamp_ms=chance.getrandbits(64) if is_extreme else 1_741_953_600_000 + chance.randrange(10**8),
        priority=chance.choice((0, 1, 2, chance.randrange(256))),
        longitude_raw=chance.choice(_EXTREMES)
        if is_extreme
        else chance.randint(-1_800_000_000, 1_800_000_000),
        latitude_raw=chance.choice(_EXTREMES) if is_extreme else chance.randint(-900_000_000, 900_000_000),
        altitude_m=chance.randint(-(2**15), 2**15 - 1),
        angle_deg=chance.getrandbits(16) if is_extreme else chance.randrange(361),
        satellites=chance.choice((0, 5, 12, 255)),
        speed_kph=chance.choice((0, 50, 2**16 - 1)),
        event_io_id=chance.getrandbits(16 if has_long_ids else 8),
        generation_type=chance.choice((0, 7, 8, 255)) if codec is CodecId.CODEC_16 else None,
        io=tuple(sorted(ids, key=lambda element: element.width or 9)),
    )


def _element(chance: random.Random, codec: CodecId) -> IoElement:
    """An element that the dictionary knows, or one of another width, or of an unknown id."""
    avl_id, width = chance.choice(_KEYS if chance.random() < 0.7 else _KEYS_WITH_COLUMN)
    if chance.random() < 0.2:
        width = chance.choice((0, 1, 2, 4, 8))
    if chance.random() < 0.1:
        avl_id = chance.getrandbits(16)
    if codec is CodecId.CODEC_8:
        avl_id %= 256
    if width == 0 and codec is not CodecId.CODEC_8_EXTENDED:
        width = chance.choice((1, 2, 4, 8))
    if width:
        return IoElement(avl_id, width, chance.choice((0, 1, 255, chance.getrandbits(64))) % 256**width)
    length = chance.choices((0, 5, 17, 1000), (2, 4, 4, 0.5))[0]
    text = chance.choice(
        (b"P0300,P0420,C0035", b" p0171 , B1234\0\0", b"\x85\x1c,P0300", chance.randbytes(17))
    )
    return IoElement(avl_id, 0, (text * 60)[:length] if length == 1000 else text[:length])


def make_frame(chance: random.Random, seen: Counter[str] | None = None) -> bytes:
    """A faultless TCP frame: of a packet mostly, else of a command. What it holds is counted in `seen`."""
    if chance.random() < 0.02:
        return encode_command_frame("getinfo")
    return encode_tcp_frame(_counted(make_packet(chance), seen))


def make_datagram(chance: random.Random, seen: Counter[str] | None = None) -> bytes:
    """A faultless datagram. What it holds is counted in `seen`."""
    return encode_udp_datagram(UdpDatagram(0xCAFE, 5, IMEI, _counted(make_packet(chance), seen)))


def _counted(packet: AvlPacket, seen: Counter[str] | None) -> AvlPacket:
    if seen is not None:
        seen.update(features([packet]))
    return packet


def damage(chance: random.Random, frame: bytes, seen: Counter[str] | None = None) -> bytes:
    """The frame with something wrong in its envelope, or in its data under a right checksum.

    What was done to it is counted in `seen`.
    """
    done: Counter[str] = Counter()
    if chance.random() < 0.4:
        damaged = _damage_bytes(chance, frame, done)
    else:
        data = _damage_bytes(chance, frame[8:-4], done)
        sealed = wrap_tcp(data) if 3 <= len(data) <= 65_536 else frame[:-1]
        behind = chance.choice((b"", b"", b"", b"\0", frame))
        done["sealed anew"], done["bytes behind"] = 1, int(bool(behind))
        damaged = sealed + behind
    if seen is not None:
        seen.update(done)
    return damaged


def _damage_bytes(chance: random.Random, frame: bytes, done: Counter[str]) -> bytes:
    damaged = bytearray(frame)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        # the head, where counts and lengths are, is hit as often as all the rest
        place = (
            chance.randrange(min(len(damaged), 48) if chance.random() < 0.5 else len(damaged))
            if damaged
            else 0
        )
        kind = chance.choice(("set", "set", "count", "cut", "cut_end", "insert", "double", "n2"))
        done[kind] += 1
        match kind:
            case "set" if damaged:
                damaged[place] = chance.getrandbits(8)
            case "count" if damaged:
                damaged[place] = (damaged[place] + chance.choice((-1, 1))) % 256
            case "cut":
                del damaged[place : place + chance.randint(1, 9)]
            case "cut_end":
                del damaged[len(damaged) - chance.randint(1, 9) :]
            case "insert":
                damaged[place:place] = chance.randbytes(chance.randint(1, 5))
            case "double":
                damaged += damaged[place:]
            case "n2" if len(damaged) > 2:
                damaged[-1] = damaged[1] = chance.choice((damaged[1], damaged[-1], chance.getrandbits(8)))
    return bytes(damaged)


def features(packets: Iterable[AvlPacket]) -> Counter[str]:
    """How often each of `FEATURES` occurs."""
    seen: Counter[str] = Counter()
    for packet in packets:
        seen[f"codec {packet.codec.label}"] += 1
        seen["no records"] += not packet.records
        seen["255 records"] += len(packet.records) == 255
        for record in packet.records:
            seen["no elements"] += not record.io
            seen["negative altitude"] += record.altitude_m < 0
            seen["negative latitude"] += record.latitude_raw < 0
            seen["negative longitude"] += record.longitude_raw < 0
            seen["off the globe"] += abs(record.latitude_raw) > 900_000_000
            seen["generation type above 7"] += (record.generation_type or 0) > 7
            seen["priority above 2"] += record.priority > 2
            seen["no satellites"] += record.satellites == 0
            seen["id twice"] += len({element.id for element in record.io}) < len(record.io)
            for element in record.io:
                _count_families(seen, element)
                if isinstance(element.raw, bytes):
                    seen["variable length"] += 1
                    seen["variable length 0"] += not element.raw
                    seen["variable length 1000"] += len(element.raw) == 1000
                else:
                    seen[f"width {element.width}"] += 1
    return seen


def _count_families(seen: Counter[str], element: IoElement) -> None:
    families = [family for family, keys in _KEYS_OF_FAMILY.items() if (element.id, element.width) in keys]
    for family in families:
        seen[f"ids of family {family}"] += 1
    seen["unknown id"] += not families
