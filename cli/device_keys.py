"""`piston device key`: keys with which a tracker posts its readings over HTTP."""

import getpass
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from telematics import clock
from telematics import imei as imei_form

if TYPE_CHECKING:
    from serving.device_keys.models import StoredKey
    from serving.device_keys.service import DeviceKeyService

Result = TypeVar("Result")

AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]

key = typer.Typer(
    help="Keys with which a tracker posts its readings over HTTP (header X-API-Key).", no_args_is_help=True
)


def register(device: typer.Typer) -> None:
    """Add these commands to `piston device`."""
    device.add_typer(key, name="key")


@key.command()
def add(
    imei: Annotated[str, typer.Argument(help="The tracker's 15 digits.")], as_json: AsJson = False
) -> None:
    """Make a key for a tracker and print it, this once. Two may be live, so that one can be rotated."""
    parsed = imei_form.parse(imei)
    made = _on_keys(lambda keys: keys.add(parsed))
    if as_json:
        print(json.dumps({**_document(made.stored), "key": str(made.key)}))
        return
    print(f"key_id  {made.stored.key_id}")
    print(f"key     {made.key}")
    print("The key is shown this once; only a hash of it is kept. Send it as X-API-Key.")


@key.command("list")
def list_keys(
    imei: Annotated[str | None, typer.Argument(help="Only of this tracker.")] = None, as_json: AsJson = False
) -> None:
    """Keys, revoked ones too; their secrets are not kept and so cannot be shown."""
    parsed = None if imei is None else imei_form.parse(imei)
    found = _on_keys(lambda keys: keys.list_all(parsed))
    if as_json:
        print(json.dumps([_document(each) for each in found]))
        return
    for each in found:
        document = _document(each)
        state = "live" if each.revoked_at is None else f"revoked {document['revoked_at']}"
        used = document["last_used_at"] or "never"
        print(f"{each.key_id}  {each.imei}  {state}; made {document['created_at']}, last used {used}")
    if not found:
        print("no keys yet: `piston device key add IMEI`")


@key.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY_ID", help="As `piston device key list` shows it.")],
    as_json: AsJson = False,
) -> None:
    """End a key with its next request. Again the same: nothing happens."""
    revoked = _on_keys(lambda keys: keys.revoke(key_id))
    document = _document(revoked)
    if as_json:
        print(json.dumps(document))
        return
    print(f"key {key_id} of device {revoked.imei} is revoked since {document['revoked_at']}")


def _document(stored: "StoredKey") -> dict[str, str | None]:
    def moment(value: datetime | None) -> str | None:
        return None if value is None else clock.rfc3339_ms(value)

    return {
        "key_id": stored.key_id,
        "imei": stored.imei,
        "created_at": moment(stored.created_at),
        "last_used_at": moment(stored.last_used_at),
        "revoked_at": moment(stored.revoked_at),
    }


def _on_keys(work: "Callable[[DeviceKeyService], Awaitable[Result]]") -> Result:
    from serving.device_keys.service import DeviceKeyService
    from serving.transaction import run_in_transaction
    from telematics.settings import load_settings

    actor = f"cli:{getpass.getuser()}"
    return run_in_transaction(
        load_settings(), lambda connection: work(DeviceKeyService(connection, actor=actor))
    )
