"""Commands of the dead-letters group: what could not be stored, and what to do about it."""

import getpass
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from telematics import clock
from telematics.errors import ConfigurationError, ConflictError, NotFoundError

if TYPE_CHECKING:
    from ingest.dead_letters.models import DeadLetter, Verdict
    from ingest.dead_letters.repository import Selection
    from ingest.dead_letters.service import LetterResult
    from ingest.device_time import DeviceTimes
    from ingest.registry.repository import Connection

_ROW_BYTES: Final = 16

letters = typer.Typer(
    help="Look at messages that could not be stored; replay or drop them.", no_args_is_help=True
)

Ids = Annotated[list[int] | None, typer.Argument(help="Numbers of letters, as `list` shows them.")]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]
Reason = Annotated[str | None, typer.Option(help="Only letters with this reason, for example bad_crc.")]
Device = Annotated[str | None, typer.Option(help="Only letters of this device (IMEI).")]
AllOpen = Annotated[bool, typer.Option("--all", help="Every open letter (of --reason and --device).")]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.add_typer(letters, name="dead-letters")


@letters.command(name="list")
def list_(
    status: Annotated[str, typer.Option(help="open, replayed, dropped or all.")] = "open",
    reason: Reason = None,
    device: Device = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, oldest first.")] = 100,
    as_json: Json = False,
) -> None:
    """Letters with their reason, device and time."""
    from ingest.dead_letters.models import Status
    from ingest.dead_letters.repository import Selection, count, find

    if status not in (*Status, "all"):
        message = f"--status is one of {', '.join(Status)} or all"
        raise ConfigurationError(message)
    selection = Selection(None if status == "all" else Status(status), reason, device)
    with _connected() as connection:
        found, total = find(connection, selection, limit), count(connection, selection)
    if as_json:
        print(json.dumps([_summary(letter) for letter in found], indent=2))
        return
    for letter in found:
        device_id, time = letter.device_id or "-", _time(letter) or "-"
        print(
            f"{letter.dead_letter_id:>6}  {letter.status:<8}  {letter.reason:<20}  {device_id:<15}  "
            f"{time:<24}  {len(letter.message):>6} bytes"
        )
    if total > len(found):
        print(f"and {total - len(found)} more; --limit shows them")
    if not found:
        print("no such letters" if total or status != "open" else "no open letters: everything was stored")


@letters.command()
def show(
    number: Annotated[int, typer.Argument(help="Number of a letter, as `list` shows it.")],
    as_json: Json = False,
    save: Annotated[
        Path | None, typer.Option(help="Write the message's bytes to this file; `piston decode` reads it.")
    ] = None,
) -> None:
    """One letter whole: its bytes, why it was set aside, and whether it would be stored today."""
    from ingest.dead_letters.models import examine
    from ingest.dead_letters.repository import Selection, find

    with _connected() as connection:
        found = find(connection, Selection(None, ids=[number]), 1)
    if not found:
        message = f"there is no dead letter {number}; `piston dead-letters list` shows those that are"
        raise NotFoundError(message)
    letter, verdict = found[0], examine(found[0], _device_times())
    if save is not None:
        save.write_bytes(letter.message)
    if as_json:
        today = {
            "is_accepted": verdict.is_accepted,
            "records": verdict.record_count,
            "reason": verdict.reason,
        }
        print(json.dumps({**_summary(letter), "message": letter.message.hex(), "today": today}, indent=2))
        return
    _print_letter(letter, verdict)


@letters.command()
def replay(
    numbers: Ids = None,
    reason: Reason = None,
    device: Device = None,
    every: AllOpen = False,
    as_json: Json = False,
) -> None:
    """Send letters again, as after a fix. What would be rejected again stays open; records land once."""
    from ingest.dead_letters import service
    from ingest.dead_letters.publisher import KafkaMessagePublisher
    from telematics.settings import load_settings

    publisher, times = KafkaMessagePublisher(load_settings().kafka_bootstrap), _device_times()
    _settle(
        _selection(numbers, reason, device, every=every),
        lambda connection, number: service.replay(connection, number, publisher, _actor(), times),
        as_json=as_json,
    )


@letters.command()
def drop(
    because: Annotated[str, typer.Option(help="Why, for the audit.")],
    numbers: Ids = None,
    reason: Reason = None,
    device: Device = None,
    every: AllOpen = False,
    as_json: Json = False,
) -> None:
    """Set letters aside for good. Their bytes stay in the table."""
    from ingest.dead_letters import service

    _settle(
        _selection(numbers, reason, device, every=every),
        lambda connection, number: service.drop(connection, number, because, _actor()),
        as_json=as_json,
    )


def _selection(
    numbers: list[int] | None, reason: str | None, device: str | None, *, every: bool
) -> "Selection":
    from ingest.dead_letters.repository import Selection

    if bool(numbers) == every:
        message = "name the letters by their numbers, or all open ones with --all"
        raise ConfigurationError(message)
    if numbers and (reason or device):
        message = "--reason and --device choose among --all, not among numbers"
        raise ConfigurationError(message)
    return Selection(reason=reason, device_id=device, ids=numbers or None)


def _settle(
    selection: "Selection", act: "Callable[[Connection, int], LetterResult]", *, as_json: bool
) -> None:
    """Do something to each letter, tell what became of it, and fail if anything was left undone."""
    from ingest.dead_letters.repository import find_ids
    from ingest.dead_letters.service import Outcome

    with _connected() as connection:
        connection.autocommit = True
        # numbers that are not open stay in: each gets its answer
        numbers = find_ids(connection, selection) if selection.ids is None else list(selection.ids)
        results = [act(connection, number) for number in _counted(numbers)]
    if as_json:
        print(json.dumps([result._asdict() for result in results], indent=2))
    else:
        for result in results:
            why = f": {result.reason}" if result.reason else ""
            print(f"{result.dead_letter_id:>6}  {result.outcome}{why}")
    undone = [result for result in results if result.outcome not in (Outcome.REPLAYED, Outcome.DROPPED)]
    if undone:
        message = f"{len(undone)} of {len(results)} letters were left as they are; the list says why"
        raise ConflictError(message)


def _counted(numbers: list[int]) -> Iterable[int]:
    """The numbers, with a line of progress on a terminal."""
    is_shown = sys.stderr.isatty() and len(numbers) > 1
    for done, number in enumerate(numbers):
        if is_shown:
            print(f"\r{done} of {len(numbers)}", end="", file=sys.stderr, flush=True)
        yield number
    if is_shown:
        print("\r", end="", file=sys.stderr)


def _device_times() -> "DeviceTimes":
    from ingest.device_time import DeviceTimes
    from telematics.settings import load_settings

    return DeviceTimes.of(load_settings())


def _connected() -> "Connection":
    from ingest.registry.repository import connect
    from telematics.settings import load_settings

    return connect(load_settings(), "dead-letters")


def _summary(letter: "DeadLetter") -> dict[str, Any]:
    return {
        "id": letter.dead_letter_id,
        "status": letter.status.value,
        "reason": letter.reason,
        "detail": letter.detail,
        "device_id": letter.device_id,
        "transport": letter.transport,
        "received_at": _time(letter),
        "parked_at": clock.rfc3339_ms(letter.created_at),
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "bytes": len(letter.message),
    }


def _time(letter: "DeadLetter") -> str | None:
    return None if letter.received_at is None else clock.rfc3339_ms(letter.received_at)


def _print_letter(letter: "DeadLetter", verdict: "Verdict") -> None:
    for name, value in _summary(letter).items():
        print(f"{name:<12} {value if value is not None else '-'}")
    records = "" if verdict.record_count is None else f", {verdict.record_count} records"
    print(f"{'today':<12} {'would be stored' + records if verdict.is_accepted else verdict.reason}")
    for start in range(0, len(letter.message), _ROW_BYTES):
        row = letter.message[start : start + _ROW_BYTES]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        print(f"{start:08x}  {row.hex(' '):<{3 * _ROW_BYTES}} {text}")


def _actor() -> str:
    return f"cli:{getpass.getuser()}"
