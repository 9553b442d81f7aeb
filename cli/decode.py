"""`piston decode`: hexadecimal device messages in, one JSON object a line out.

Decoding is `ingest.codec8.decoding`, meaning is `telematics.avl.dictionary`; this module only reads lines and
chooses the words of the answer.
"""

import sys
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from telematics.avl.dictionary import AvlElement, Family, lookup
from telematics.clock import from_epoch_ms, rfc3339_ms
from telematics.errors import NotFoundError

if TYPE_CHECKING:
    from ingest.codec8.errors import DecodeError
    from ingest.codec8.records import AvlPacket, AvlRecord, CommandMessage, IoElement

Document = dict[str, Any]

_EVENT_KIND_ID = 253
_EVENT_VALUE_ID = 254
_EVENT_KINDS_IN_G = (1, 2)
"""Harsh acceleration and braking; cornering (3) is in g or rad/s, as the tracker is set up."""


class Transport(StrEnum):
    """How a message travelled: decides its envelope."""

    TCP = "tcp"
    UDP = "udp"


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command()(decode)


def decode(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files of hex messages, one a line; default standard input.")
    ] = None,
    transport: Annotated[Transport, typer.Option(help="How the messages travelled.")] = Transport.TCP,
    family: Annotated[
        Family | None, typer.Option(help="Family of trackers; names and scales the IO elements.")
    ] = None,
) -> None:
    """Decode device messages in hex, one a line, to one JSON object a line.

    Ends with code 1 when at least one message was bad; each bad one still has its line.
    """
    from orjson import dumps

    has_bad = False
    for line in _lines(files or []):
        document = decode_line(line, transport, family)
        has_bad = has_bad or not document["ok"]
        sys.stdout.write(dumps(document).decode("utf-8") + "\n")
    if has_bad:
        raise typer.Exit(1)


def decode_line(line: str, transport: Transport, family: Family | None) -> Document:
    """The answer for one line of hexadecimal digits.

    Blanks, `0x` and capitals are allowed. Text that is no hexadecimal number is `bad_preamble`, half a byte
    at the end is `truncated`.
    """
    from ingest.codec8.decoding import decode_tcp_message, decode_udp_datagram
    from ingest.codec8.errors import DecodeError

    try:
        message = _bytes_of(line)
        if transport is Transport.TCP:
            return _describe(decode_tcp_message(message), family)
        datagram = decode_udp_datagram(message)
    except DecodeError as error:
        return _bad(error)
    return _describe(datagram.content, family) | {
        "imei": datagram.imei,
        "packet_id": datagram.packet_id,
        "avl_packet_id": datagram.avl_packet_id,
    }


def _lines(files: list[Path]) -> Iterator[str]:
    """The lines that are not blank; bytes that are no text come through as characters that are no hex."""
    if not files:
        yield from _not_blank(line.decode("ascii", "replace") for line in sys.stdin.buffer)
    for file in files:
        try:
            with file.open("rb") as stream:
                yield from _not_blank(line.decode("ascii", "replace") for line in stream)
        except OSError as error:
            message = f"{file} cannot be read: {error.strerror}; name a file with one hex message a line"
            raise NotFoundError(message) from error


def _not_blank(lines: Iterable[str]) -> Iterator[str]:
    return (line for line in lines if line.strip())


def _bytes_of(line: str) -> bytes:
    from ingest.codec8.errors import FrameError, Reason

    digits = "".join(part.lower().removeprefix("0x") for part in line.split())
    if not digits or not set(digits) <= set("0123456789abcdef"):
        raise FrameError(Reason.BAD_PREAMBLE, "the line is not hexadecimal digits")
    if len(digits) % 2:
        raise FrameError(Reason.TRUNCATED, "an odd number of hexadecimal digits", len(digits) // 2)
    return bytes.fromhex(digits)


def _bad(error: "DecodeError") -> Document:
    return {"ok": False, "error": str(error.reason), "detail": f"{error.detail} (byte {error.offset})"}


def _describe(message: object, family: Family | None) -> Document:
    from ingest.codec8.records import AvlPacket, CommandMessage, Login

    if isinstance(message, AvlPacket):
        return _packet(message, family)
    if isinstance(message, CommandMessage):
        return _command(message)
    if isinstance(message, Login):
        return {"ok": True, "kind": "imei", "imei": message.imei}
    return {"ok": True, "kind": "ping"}


def _packet(packet: "AvlPacket", family: Family | None) -> Document:
    from ingest.codec8.records import CodecId

    has_generation_type = packet.codec is CodecId.CODEC_16
    records = [_record(record, family, has_generation_type=has_generation_type) for record in packet.records]
    return {"ok": True, "kind": "avl", "codec": packet.codec.label, "records": records}


def _command(message: "CommandMessage") -> Document:
    text = message.payload.decode("latin-1")
    is_text = message.payload.isascii() and all(char.isprintable() or char in "\t\r\n" for char in text)
    document: Document = {
        "ok": True,
        "kind": "command",
        "codec": message.codec.label,
        "type": message.type,
        "payload": text if is_text else message.payload.hex(),
        "payload_encoding": "text" if is_text else "hex",
    }
    if message.imei is not None:
        document["imei"] = message.imei
    if message.timestamp_s is not None:
        document["time"] = _time(message.timestamp_s * 1000)
    return document


def _record(record: "AvlRecord", family: Family | None, *, has_generation_type: bool) -> Document:
    document: Document = {
        "time": _time(record.timestamp_ms),
        "timestamp_ms": record.timestamp_ms,
        "priority": record.priority,
        "lat": record.latitude_deg,
        "lng": record.longitude_deg,
        "altitude_m": record.altitude_m,
        "heading_deg": record.angle_deg,
        "satellites": record.satellites,
        "speed_kph": record.speed_kph,
        "event_id": record.event_io_id,
    }
    if has_generation_type:
        document["generation_type"] = record.generation_type
    kinds = {element.raw for element in record.io if element.id == _EVENT_KIND_ID}
    document["io"] = [_io(element, family, kinds) for element in record.io]
    return document


def _io(element: "IoElement", family: Family | None, event_kinds: set[int | bytes]) -> Document:
    raw = element.raw
    meaning = None if family is None else lookup(family, element.id, element.width)
    document: Document = {
        "id": element.id,
        "width": len(raw) if isinstance(raw, bytes) else element.width,
        "raw": raw.hex() if isinstance(raw, bytes) else raw,
        "name": meaning and meaning.name,
        "value": None,
        "unit": None,
    }
    if meaning is not None:
        document["value"] = meaning.value(raw)
        document["unit"] = _unit(meaning, event_kinds)
        if (reason := meaning.reason(raw)) is not None:
            document["reason"] = reason
    return document


def _unit(meaning: AvlElement, event_kinds: set[int | bytes]) -> str | None:
    """The unit; that of a harsh event's value depends on the event's kind in the same record."""
    if meaning.id == _EVENT_VALUE_ID and event_kinds and event_kinds <= set(_EVENT_KINDS_IN_G):
        return "g"
    return meaning.unit


def _time(epoch_ms: int) -> str | None:
    """RFC 3339, or None where the device's clock is beyond the year 9999."""
    try:
        return rfc3339_ms(from_epoch_ms(epoch_ms))
    except OverflowError:
        return None
