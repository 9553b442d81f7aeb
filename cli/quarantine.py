"""`piston device quarantine`: frames of devices that were not registered when they came."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.device_moves import actor
from telematics import clock
from telematics.errors import NotFoundError

if TYPE_CHECKING:
    from ingest.quarantine.topic import QuarantineTopic
    from ingest.registry.repository import Connection
    from ingest.stream.messages import FrameMessage

quarantine = typer.Typer(
    help="Frames of devices that were not registered (PISTON_UNKNOWN_DEVICES=quarantine).",
    no_args_is_help=True,
)

Imei = Annotated[str, typer.Argument(help="The tracker's 15 digits.")]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]


def register(device: typer.Typer) -> None:
    """Add this group to `piston device`."""
    device.add_typer(quarantine, name="quarantine")


@quarantine.command(name="list")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="At most this many, those with most frames.")] = 100,
    as_json: Json = False,
) -> None:
    """Devices whose frames wait, and whether they are registered by now."""
    from ingest.quarantine.service import list_waiting
    from ingest.registry.repository import active_imeis

    with _opened() as (connection, topic):
        waiting = list_waiting(connection, topic)
        registered = active_imeis(connection, waiting.keys())
        malformed_count = topic.malformed_count
    most = sorted(waiting.items(), key=lambda item: -item[1].frame_count)[:limit]
    rows: list[dict[str, Any]] = [
        {
            "imei": imei,
            "is_registered": imei in registered,
            "frames": item.frame_count,
            "bytes": item.byte_count,
            "first_received_at": _time(item.first_received_at_ms),
            "last_received_at": _time(item.last_received_at_ms),
        }
        for imei, item in most
    ]
    if as_json:
        print(json.dumps(rows, indent=2))
    for row in [] if as_json else rows:
        print(
            f"{row['imei']}  {row['frames']:>7} frames  {row['bytes']:>10} bytes  "
            f"{row['first_received_at']} to {row['last_received_at']}"
            f"{'  registered: replay them' if row['is_registered'] else ''}"
        )
    if not rows and not as_json:
        print("nothing waits in quarantine")
    if len(waiting) > len(rows):
        print(f"and {len(waiting) - len(rows)} more devices; --limit shows them", file=sys.stderr)
    if malformed_count:
        print(f"{malformed_count} messages there are no frames and are passed over", file=sys.stderr)


@quarantine.command()
def show(
    imei: Imei,
    limit: Annotated[int, typer.Option(min=1, help="At most this many, oldest first.")] = 20,
    as_json: Json = False,
) -> None:
    """A device's frames that wait, and what they hold. `piston decode` reads their bytes (--json)."""
    from ingest.quarantine.service import waiting_frames
    from telematics import imei as imei_form

    parsed = imei_form.parse(imei)
    with _opened() as (connection, topic):
        rows = [_row(frame) for frame in islice(waiting_frames(connection, topic, parsed), limit)]
    if not rows:
        message = "nothing of this device waits in quarantine; see `piston device quarantine list`"
        raise NotFoundError(message)
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        count = f"{row['records']} " if row["records"] else ""
        why = f": {row['reason']}" if row["reason"] else ""
        print(
            f"{row['partition']:>3}/{row['offset']:<10}  {row['received_at']}  {row['transport']}  "
            f"{row['bytes']:>6} bytes  {count}{row['content']}{why}"
        )


@quarantine.command()
def replay(imei: Imei, as_json: Json = False) -> None:
    """Send on a registered device's frames, in order, with the time they came. Again: nothing happens."""
    from ingest.quarantine.service import replay as replay_frames
    from ingest.stream.publisher import DurablePublisher
    from telematics import imei as imei_form
    from telematics.settings import load_settings

    parsed = imei_form.parse(imei)
    publisher = DurablePublisher(load_settings().kafka_bootstrap, "quarantine")
    with _opened() as (connection, topic):
        done = replay_frames(connection, topic, publisher, parsed, actor())
    if as_json:
        counts = {
            "frames": done.frame_count,
            "records": done.record_count,
            "messages": done.message_count,
            "pings": done.ping_count,
            "unreadable": done.unreadable_count,
        }
        print(json.dumps(counts, indent=2))
        return
    if not done.frame_count:
        print("nothing of this device waits in quarantine")
        return
    print(f"{done.frame_count} frames sent on, with {done.record_count} records")
    if done.message_count or done.ping_count:
        print(
            f"of them {done.message_count} answers or messages, and {done.ping_count} empty ones for nobody"
        )
    if done.unreadable_count:
        print(f"{done.unreadable_count} cannot be read: `piston dead-letters list --device {parsed}`")


@quarantine.command()
def drop(
    imei: Imei,
    because: Annotated[str, typer.Option(help="Why, for the audit.")],
    as_json: Json = False,
) -> None:
    """Set a device's frames aside for good. Kafka keeps them for 30 days from when they came."""
    from ingest.quarantine.service import drop as drop_frames
    from telematics import imei as imei_form

    parsed = imei_form.parse(imei)
    with _opened() as (connection, topic):
        frame_count = drop_frames(connection, topic, parsed, because, actor())
    print(json.dumps({"frames": frame_count}) if as_json else f"{frame_count} frames dropped")


@contextmanager
def _opened() -> "Iterator[tuple[Connection, QuarantineTopic]]":
    from ingest.quarantine.topic import QuarantineTopic
    from ingest.registry.repository import connect
    from telematics.settings import load_settings

    settings = load_settings()
    with connect(settings, "quarantine") as connection:
        connection.autocommit = True
        topic = QuarantineTopic(settings.kafka_bootstrap)
        try:
            yield connection, topic
        finally:
            topic.close()


def _row(frame: "FrameMessage") -> dict[str, Any]:
    from ingest.quarantine.routing import route

    routed = route(frame)
    return {
        "partition": frame.partition,
        "offset": frame.offset,
        "received_at": _time(frame.received_at_ms),
        "transport": frame.transport.value,
        "content": routed.content.value,
        "records": routed.record_count,
        "reason": routed.reason,
        "bytes": len(frame.frame),
        "frame": frame.frame.hex(),
    }


def _time(epoch_ms: int) -> str:
    return clock.rfc3339_ms(clock.from_epoch_ms(epoch_ms))
