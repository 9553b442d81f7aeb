"""How soon after its ACK a record is readable at live-status, through the real port and the real API.

One device of the simulated range sends records of now, one at a time. Measured once per stack and kept: a
second run of the demo must not add rows.
"""

import asyncio
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from cli.demo.answers import Partner
from ingest.codec8.encoding import encode_tcp_frame
from ingest.codec8.records import AvlPacket, AvlRecord, CodecId, IoElement
from ingest.registry.models import NewDevice
from ingest.registry.repository import add_device, connect
from simulation.device.packets import Packet
from simulation.device.tracker import Tracker
from telematics.clock import epoch_ms, rfc3339_ms, utc_now
from telematics.imei import luhn_digit
from telematics.names import Origin
from telematics.settings import Settings
from telematics.vin import with_check_digit

RECORDS = 20
STATE_FILE = "demo-freshness.json"
_IMEI_BODY = "00190000000001"
IMEI = _IMEI_BODY + luhn_digit(_IMEI_BODY)
VIN = with_check_digit("0SMFRESH00A000001")
_POLL_S = 0.002
_GIVE_UP_S = 30.0
_ANN_ARBOR_RAW = (422_808_000, -837_430_000)
_MS = 1000.0


@dataclass(frozen=True)
class Freshness:
    """Milliseconds from the ACK to the first live-status answer that shows the record."""

    records: int
    median_ms: float
    max_ms: float


def register_probe(settings: Settings) -> None:
    """Register the probe's device and vehicle; nothing happens where they are."""
    with connect(settings, "demo") as connection:
        add_device(connection, NewDevice(IMEI, VIN, origin=Origin.SIMULATED), "piston demo")


def measure_once(settings: Settings, partner: Partner, say: Callable[[str], None]) -> Freshness:
    """The measurement of this stack, taken now if there is none yet."""
    kept = settings.state / STATE_FILE
    if kept.is_file():
        return Freshness(**json.loads(kept.read_text()))
    waits_ms = asyncio.run(_measure(settings, partner))
    found = Freshness(len(waits_ms), round(statistics.median(waits_ms), 1), round(max(waits_ms), 1))
    say(f"{found.records} records: readable after the ACK in {found.median_ms} ms (median)")
    _keep(kept, found)
    return found


def _keep(path: Path, found: Freshness) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(found)))


async def _measure(settings: Settings, partner: Partner) -> list[float]:
    tracker = Tracker(IMEI, settings.gateway_host, settings.gateway_port)
    waits_ms = []
    try:
        for number in range(RECORDS):
            sent_at = utc_now()
            await tracker.deliver(_packet(epoch_ms(sent_at), number))
            acknowledged = time.monotonic()
            await _until_shown(partner, rfc3339_ms(sent_at), acknowledged + _GIVE_UP_S)
            waits_ms.append((time.monotonic() - acknowledged) * _MS)
    finally:
        await tracker.disconnect()
    return waits_ms


async def _until_shown(partner: Partner, last_seen: str, deadline: float) -> None:
    while True:
        body = await asyncio.to_thread(partner.get, f"/api/v1/vehicles/{VIN}/live-status")
        if body["last_seen"] == last_seen:
            return
        if time.monotonic() > deadline:
            message = (
                f"a record acknowledged {_GIVE_UP_S:.0f} s ago is not at live-status; see `piston status`"
            )
            raise TimeoutError(message)
        await asyncio.sleep(_POLL_S)


def _packet(time_ms: int, number: int) -> Packet:
    latitude, longitude = _ANN_ARBOR_RAW
    record = AvlRecord(
        timestamp_ms=time_ms,
        priority=0,
        longitude_raw=longitude + number,
        latitude_raw=latitude,
        altitude_m=250,
        angle_deg=90,
        satellites=9,
        speed_kph=30,
        event_io_id=0,
        io=(IoElement(239, 1, 1), IoElement(66, 2, 13_800)),
    )
    return Packet(encode_tcp_frame(AvlPacket(CodecId.CODEC_8_EXTENDED, (record,))), 1)
