"""Vehicles' records in ClickHouse, warm and cold, along the sorting key (vin, time)."""

from collections.abc import Sequence
from itertools import repeat
from typing import Any, Final

from telematics.names import COLD_VOLUME
from warehouse.history.cursor import Position
from warehouse.history.fields import Row, from_warm, moment_literal, warm_expression
from warehouse.history.stores import HistoryStores
from warehouse.history.tiers import Span, Tier
from warehouse.warm_days import TELEMETRY

_IDENTITY: Final = ("vin", "time", "device_id", "event_id", "content_hash")
WITHIN: Final = (
    "vin in {vins:Array(String)} "
    "and time >= {start:DateTime64(6, 'UTC')} and time < {end:DateTime64(6, 'UTC')}"
)


async def fetch(
    stores: HistoryStores,
    vins: Sequence[str],
    window: Span,
    after: Position | None,
    fields: Sequence[str],
    count: int,
) -> list[Row]:
    """The first `count` records of the window after a position: one query, however many vehicles."""
    parameters: dict[str, Any] = {
        "vins": list(vins),
        "start": moment_literal(window.start if after is None else max(window.start, after.time)),
        "end": moment_literal(window.end),
        "count": count,
    }
    beyond = ""
    if after is not None:
        beyond = (
            " and (time, device_id, event_id, content_hash) > ({after_time:DateTime64(6, 'UTC')}, "
            "{after_device:String}, {after_event:Int32}, {after_hash:Int64})"
        )
        parameters |= {
            "after_time": moment_literal(after.time),
            "after_device": after.device_id,
            "after_event": after.event_id,
            "after_hash": after.content_hash,
        }
    selected = ", ".join(
        f"{warm_expression(name)} as cell_{place}" for place, name in enumerate([*_IDENTITY, *fields])
    )
    columns = await stores.clickhouse_columns(
        f"select _disk_name, {selected} from {TELEMETRY} where {WITHIN}{beyond} "
        "order by vin, time, device_id, event_id, content_hash limit {count:UInt32}",
        parameters,
    )
    if not columns:
        return []
    names = ("disk", *_IDENTITY, *fields)
    disks, vins, *values = (from_warm(name, cells) for name, cells in zip(names, columns, strict=True))
    positions = map(Position, vins, *values[: len(_IDENTITY) - 1])
    cells = values[len(_IDENTITY) - 1 :]
    records = zip(*cells, strict=True) if cells else repeat(())
    return [
        Row(position, tier_of(disk), dict(zip(fields, record, strict=True)))
        for disk, position, record in zip(disks, positions, records, strict=False)
    ]


def tier_of(disk: str) -> Tier:
    """The tier that a volume is."""
    return Tier.COLD if disk == COLD_VOLUME else Tier.WARM
