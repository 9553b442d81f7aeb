"""Commands of the devices group: which tracker sits in which vehicle."""

import json
import sys
from typing import Annotated, Final

import typer

from cli import device_commands, device_keys, device_moves, quarantine
from telematics import clock
from telematics.avl.dictionary import Family
from telematics.names import Origin

_TABLE_WIDTH: Final = 140

device = typer.Typer(help="Register trackers and the vehicles they sit in.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    device_commands.register(device)
    device_moves.register(device)
    device_keys.register(device)
    quarantine.register(device)
    app.add_typer(device, name="device")


@device.command()
def add(
    imei: Annotated[str, typer.Argument(help="The tracker's 15 digits.")],
    vin: Annotated[str, typer.Option(help="The vehicle it sits in.")],
    family: Annotated[
        Family, typer.Option(case_sensitive=False, help="Teltonika family: says what its AVL ids mean.")
    ] = Family.F,
    origin: Annotated[Origin, typer.Option(help="Where the vehicle's data comes from.")] = Origin.LIVE,
    since: Annotated[
        str | None, typer.Option(help="RFC 3339; start of the installation. Default: since ever.")
    ] = None,
    make: Annotated[str | None, typer.Option(help="Vehicle make.")] = None,
    model: Annotated[str | None, typer.Option(help="Vehicle model.")] = None,
    year: Annotated[int | None, typer.Option(help="Model year.")] = None,
    wait: device_moves.Wait = True,
) -> None:
    """Let a tracker log in, and say which vehicle its records belong to. Again the same: nothing happens.

    Of a tracker that was known before, records since that time get the vehicle, too.
    """
    from ingest.registry.models import NewDevice
    from ingest.registry.moving import register_device
    from ingest.registry.repository import connect
    from telematics import imei as imei_form
    from telematics import vin as vin_form
    from telematics.settings import load_settings

    new = NewDevice(
        imei=imei_form.parse(imei),
        vin=vin_form.parse(vin),
        family=family,
        origin=origin,
        since=None if since is None else device_moves.parse_moment(since),
        make=make,
        model=model,
        model_year=year,
    )
    if not vin_form.has_valid_check_digit(new.vin):
        print(
            f"piston: warning: the VIN's check digit is {new.vin[8]}, by its other characters it would be "
            f"{vin_form.check_digit(new.vin)}; registered as given",
            file=sys.stderr,
        )
    settings = load_settings()
    with connect(settings, "device") as connection:
        result = register_device(connection, new, device_moves.actor())
    outcome = "added" if result.is_new else "was there already, unchanged"
    print(f"device {new.imei} {outcome}: vehicle {new.vin}")
    if result.is_new:
        is_waiting = wait and result.was_known
        device_moves.look_again(settings, new.imei, new.since, result.row_count, wait=is_waiting)


@device.command(name="list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list instead of a table.")] = False,
) -> None:
    """Every tracker and the vehicle it is in now."""
    from ingest.registry.repository import connect, list_devices
    from telematics.settings import load_settings

    with connect(load_settings(), "device") as connection:
        devices = list_devices(connection)
    rows = [
        {
            "imei": item.imei,
            "vin": item.vin,
            "family": item.family.value,
            "origin": None if item.origin is None else item.origin.value,
            "status": item.status,
            "since": None if item.since is None else clock.rfc3339_ms(item.since),
            "model": item.model,
            "firmware": item.firmware,
        }
        for item in devices
    ]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    _print_table(rows)


def _print_table(rows: list[dict[str, str | None]]) -> None:
    from rich.console import Console
    from rich.table import Table

    if not rows:
        print("no devices yet; add one with `piston device add IMEI --vin VIN`")
        return
    table = Table(*(heading.upper() for heading in rows[0]), box=None, pad_edge=False)
    for row in rows:
        since = row["since"] or ("ever" if row["vin"] else "")
        table.add_row(*((value or "") for value in (row | {"since": since}).values()))
    # whole numbers, also where the output is no terminal: half an IMEI is of no use
    Console(soft_wrap=True, width=max(Console().width, _TABLE_WIDTH)).print(table)
