"""`piston device move`, `remove`, `retire` and `history`: which tracker sat in which vehicle, and when."""

import getpass
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from telematics import clock
from telematics.errors import ConfigurationError
from telematics.names import Origin

if TYPE_CHECKING:
    from telematics.settings import Settings

Imei = Annotated[str, typer.Argument(help="The tracker's 15 digits.")]
At = Annotated[str | None, typer.Option(help="RFC 3339, not in the future; default now.")]
Wait = Annotated[
    bool, typer.Option(help="Wait until sinks know it, and set right what they stored meanwhile.")
]


def register(device: typer.Typer) -> None:
    """Add these commands to `piston device`."""
    device.command()(move)
    device.command()(remove)
    device.command()(retire)
    device.command()(history)


def move(
    imei: Imei,
    vin: Annotated[str, typer.Option(help="The vehicle that it sits in from then on.")],
    at: At = None,
    origin: Annotated[
        Origin | None, typer.Option(help="Where the vehicle's data comes from; default as before.")
    ] = None,
    make: Annotated[str | None, typer.Option(help="Vehicle make.")] = None,
    model: Annotated[str | None, typer.Option(help="Vehicle model.")] = None,
    year: Annotated[int | None, typer.Option(help="Model year.")] = None,
    wait: Wait = True,
) -> None:
    """Move a tracker to another vehicle at a time; records of before stay with the old one."""
    from ingest.registry.moving import Move, move_device
    from ingest.registry.repository import connect
    from telematics import imei as imei_form
    from telematics import vin as vin_form
    from telematics.settings import load_settings

    moment = _moment(at)
    wanted = Move(imei_form.parse(imei), vin_form.parse(vin), moment, origin, make, model, year)
    settings = load_settings()
    with connect(settings, "device") as connection:
        result = move_device(connection, wanted, actor(), clock.utc_now())
    left = f"left vehicle {result.left_vin} and " if result.left_vin else ""
    print(f"device {wanted.imei} {left}sits in vehicle {wanted.vin} since {clock.rfc3339_ms(moment)}")
    look_again(settings, wanted.imei, moment, result.row_count, wait=wait)


def remove(imei: Imei, at: At = None, wait: Wait = True) -> None:
    """Take a tracker out of its vehicle; it may still log in, its records carry no VIN from then on."""
    from ingest.registry.moving import remove_device
    from ingest.registry.repository import connect
    from telematics import imei as imei_form
    from telematics.settings import load_settings

    moment, parsed = _moment(at), imei_form.parse(imei)
    settings = load_settings()
    with connect(settings, "device") as connection:
        result = remove_device(connection, parsed, moment, actor())
    print(f"device {parsed} left vehicle {result.left_vin}; it is in none since {clock.rfc3339_ms(moment)}")
    look_again(settings, parsed, moment, result.row_count, wait=wait)


def retire(imei: Imei, at: At = None, wait: Wait = True) -> None:
    """Take a tracker out of service: it leaves its vehicle and may not log in again."""
    from ingest.registry.moving import retire_device
    from ingest.registry.repository import connect
    from telematics import imei as imei_form
    from telematics.settings import load_settings

    moment, parsed = _moment(at), imei_form.parse(imei)
    settings = load_settings()
    with connect(settings, "device") as connection:
        result = retire_device(connection, parsed, moment, actor())
    left = f"; it left vehicle {result.left_vin} at {clock.rfc3339_ms(moment)}" if result.left_vin else ""
    print(f"device {parsed} is retired: gateways refuse it from its next login on{left}")
    if result.left_vin:
        look_again(settings, parsed, moment, result.row_count, wait=wait)


def look_again(
    settings: "Settings", imei: str, moment: datetime | None, row_count: int, *, wait: bool
) -> None:
    """Find what sinks stored before they knew, unless the user does not want to wait for it."""
    from ingest.registry.repository import connect
    from ingest.registry.second_look import restamp_again

    if wait:
        print("waiting until every sink knows it", flush=True)
        with connect(settings, "device") as connection:
            connection.autocommit = True
            row_count += restamp_again(connection, imei, moment)
    if row_count:
        print(f"{row_count} stored records changed their vehicle; their days will be loaded again")


def history(
    imei: Imei,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list instead of a table.")] = False,
) -> None:
    """Every vehicle that a tracker sat in, oldest first."""
    from ingest.registry.repository import connect, load_timeline
    from ingest.registry.timeline import SINCE_EVER_MS, UNTIL_FOREVER_MS
    from telematics import imei as imei_form
    from telematics.errors import NotFoundError
    from telematics.settings import load_settings

    parsed = imei_form.parse(imei)
    with connect(load_settings(), "device") as connection:
        timeline = load_timeline(connection, [parsed])
    if parsed not in timeline:
        message = "no such device; see `piston device list`"
        raise NotFoundError(message)

    def moment_of(epoch_ms: int) -> str | None:
        is_open = epoch_ms in (SINCE_EVER_MS, UNTIL_FOREVER_MS)
        return None if is_open else clock.rfc3339_ms(clock.from_epoch_ms(epoch_ms))

    rows = [
        {
            "vin": item.vin,
            "origin": item.origin.value,
            "since": moment_of(item.start_ms),
            "until": moment_of(item.end_ms),
            "odometer_source": None if item.odometer_source is None else item.odometer_source.value,
        }
        for item in timeline.installations(parsed)
    ]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print(f"{row['vin']}  {row['since'] or 'ever'} to {row['until'] or 'now'}")
    if not rows:
        print("it was never in a vehicle")


def _moment(at: str | None) -> datetime:
    return whole_milliseconds(clock.utc_now()) if at is None else parse_moment(at)


def parse_moment(text: str) -> datetime:
    """A moment given on the command line, in whole milliseconds.

    Raises:
        ConfigurationError: it is not RFC 3339, or names no zone.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        message = "a time is RFC 3339, for example 2026-01-31T00:00:00Z"
        raise ConfigurationError(message) from error
    if moment.tzinfo is None:
        message = "a time names its zone, for example 2026-01-31T00:00:00Z"
        raise ConfigurationError(message)
    return whole_milliseconds(moment)


def whole_milliseconds(moment: datetime) -> datetime:
    """The moment in UTC without its microseconds: registry and device clocks both count milliseconds."""
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)


def actor() -> str:
    """Who acts, for the audit."""
    return f"cli:{getpass.getuser()}"
