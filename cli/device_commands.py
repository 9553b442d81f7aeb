"""`piston device command` and `piston device commands`: what devices are told and what they answer."""

import getpass
import json
import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import typer

from telematics import clock
from telematics.errors import ConfigurationError, UnavailableError

if TYPE_CHECKING:
    from ingest.commands.models import CommandRead

_OVER: Final = frozenset({"answered", "expired", "failed"})
_POLL_S: Final = 0.25


def register(device: typer.Typer) -> None:
    """Add these commands to `piston device`."""
    device.command()(command)
    device.command()(commands)


def command(
    imei: Annotated[str, typer.Argument(help="The tracker's 15 digits.")],
    text: Annotated[str, typer.Argument(help='What to tell it, for example "getinfo".')],
    codec: Annotated[int, typer.Option(help="12, or 14 to have the device check its IMEI.")] = 12,
    expires_in: Annotated[
        float, typer.Option(help="Hours until it is given up; a car may have no network for days.")
    ] = 168.0,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the answer; default: not at all.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object.")] = False,
) -> None:
    """Queue a command. It is sent when the device is connected and has sent what it had to say."""
    from ingest.codec8.records import CodecId
    from ingest.commands.models import NewCommand
    from ingest.commands.repository import enqueue, read_command
    from ingest.registry.repository import connect
    from telematics import imei as imei_form
    from telematics.settings import load_settings

    codecs = {12: CodecId.CODEC_12, 14: CodecId.CODEC_14}
    if codec not in codecs:
        message = "commands are sent with codec 12 or 14"
        raise ConfigurationError(message)
    new = NewCommand(
        imei_form.parse(imei), text, f"cli:{getpass.getuser()}", codecs[codec], expires_in * 3600
    )
    with connect(load_settings(), "device") as connection:
        connection.autocommit = True
        command_id = enqueue(connection, new)
        read = read_command(connection, command_id)
        deadline = time.monotonic() + wait
        while read.status.value not in _OVER and time.monotonic() < deadline:
            time.sleep(_POLL_S)
            read = read_command(connection, command_id)
    row = _row(read)
    if as_json:
        print(json.dumps(row, indent=2))
    elif read.status.value == "answered":
        print(read.answer)
    else:
        print(f"command {command_id}: {read.status.value}; see `piston device commands --id {command_id}`")
    if wait and read.status.value != "answered":
        reason = read.answer or f"no answer within {wait:g} s"
        message = f"the device did not answer ({read.status.value}): {reason}"
        raise UnavailableError(message)


def commands(
    imei: Annotated[str | None, typer.Argument(help="Only of this tracker.")] = None,
    command_id: Annotated[str | None, typer.Option("--id", help="Only this command.")] = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only what waits or is out.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most this many.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list instead of a table.")] = False,
) -> None:
    """Commands and their answers, the newest first."""
    from ingest.commands.repository import list_commands, read_command
    from ingest.registry.repository import connect
    from telematics import imei as imei_form
    from telematics.settings import load_settings

    parsed = None if imei is None else imei_form.parse(imei)
    with connect(load_settings(), "device") as connection:
        if command_id is not None:
            found = [read_command(connection, _command_id(command_id))]
        else:
            found = list_commands(connection, parsed, only_open=only_open, limit=limit)
    rows = [_row(read) for read in found]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    _print_table(rows)


def _command_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        message = "a command's id is a UUID; see `piston device commands`"
        raise ConfigurationError(message) from error


def _row(read: "CommandRead") -> dict[str, str | int | None]:
    def moment(value: datetime | None) -> str | None:
        return None if value is None else clock.rfc3339_ms(value)

    return {
        "command_id": str(read.command_id),
        "imei": read.imei,
        "command": read.text,
        "codec": int(read.codec),
        "status": read.status.value,
        "answer": read.answer,
        "attempts": read.attempts,
        "requested_by": read.requested_by,
        "created_at": moment(read.created_at),
        "expires_at": moment(read.expires_at),
        "sent_at": moment(read.sent_at),
        "answered_at": moment(read.answered_at),
    }


def _print_table(rows: list[dict[str, str | int | None]]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        print('no commands yet; queue one with `piston device command IMEI "getinfo"`')
        return
    shown = ("command_id", "imei", "command", "status", "created_at", "answer")
    table = Table(*(name.upper() for name in shown), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(str(row[name] or "") for name in shown))
    Console(soft_wrap=True).print(table)
