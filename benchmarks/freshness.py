"""How soon a record that a device sends is readable at live-status, while a fleet keeps the system busy.

Some devices send a record of now, ask the partner API until it shows that record, and go on with the next.
Counted from the moment before the frame is sent, so the gateway, Kafka, the live writer, Valkey, the API and
its HTTP client are all in it.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from cli.demo.answers import Partner
from ingest.codec8.encoding import encode_tcp_frame
from ingest.codec8.records import AvlPacket, AvlRecord, CodecId, IoElement
from ingest.registry.models import NewDevice
from simulation.device.packets import Packet
from simulation.device.tracker import Tracker
from stack.services import environment_of
from telematics.clock import epoch_ms, rfc3339_ms, utc_now
from telematics.settings import Settings

PROBES: Final = tuple(NewDevice(f"357{number:012d}", f"0PR{number:014d}") for number in range(4))
_PAUSE_S: Final = 0.1
_POLL_S: Final = 0.01
_GIVE_UP_S: Final = 30.0


def admit(settings: Settings) -> Partner:
    """A partner who may read the probes' live-status; the API runs."""
    made = _piston(settings, "partner", "create", "Freshness probe", "--kind", "history", "--json")
    vins = [word for probe in PROBES for word in ("--vin", probe.vin)]
    _piston(settings, "consent", "grant", made["client_id"], *vins, "--purpose", "benchmark", "--json")
    address = f"http://{settings.api_host}:{settings.api_port}"
    return Partner(address, made["client_id"], made["client_secret"])


def _piston(settings: Settings, *words: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *words],
        env=environment_of(settings), check=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    return json.loads(done.stdout)


def measure(settings: Settings, partner: Partner, seconds: float) -> Sequence[float]:
    """Milliseconds of every record, in ascending order.

    Raises:
        TimeoutError: a record was not readable in half a minute.
    """
    return sorted(asyncio.run(_measure(settings, partner, seconds)))


async def _measure(settings: Settings, partner: Partner, seconds: float) -> list[float]:
    deadline = time.monotonic() + seconds
    waits_ms: list[float] = []
    async with asyncio.TaskGroup() as tasks:
        for probe in PROBES:
            tasks.create_task(_probe(settings, partner, probe, deadline, waits_ms))
    return waits_ms


async def _probe(
    settings: Settings, partner: Partner, probe: NewDevice, deadline: float, waits_ms: list[float]
) -> None:
    tracker = Tracker(probe.imei, settings.gateway_host, settings.gateway_port)
    path = f"/api/v1/vehicles/{probe.vin}/live-status"
    try:
        while time.monotonic() < deadline:
            started, sent_at = time.monotonic(), utc_now()
            await tracker.deliver(_packet(epoch_ms(sent_at)))
            wanted = rfc3339_ms(sent_at)
            while not await asyncio.to_thread(_shows, partner, path, wanted):
                if time.monotonic() - started > _GIVE_UP_S:
                    message = f"a record sent {_GIVE_UP_S:g} s ago is not at live-status"
                    raise TimeoutError(message)
                await asyncio.sleep(_POLL_S)
            waits_ms.append((time.monotonic() - started) * 1000)
            await asyncio.sleep(_PAUSE_S)
    finally:
        await tracker.disconnect()


def _shows(partner: Partner, path: str, wanted: str) -> bool:
    return bool(partner.get(path)["last_seen"] == wanted)


def _packet(time_ms: int) -> Packet:
    record = AvlRecord(
        timestamp_ms=time_ms,
        priority=0,
        longitude_raw=-837_430_000,
        latitude_raw=422_808_000,
        altitude_m=250,
        angle_deg=90,
        satellites=9,
        speed_kph=30,
        event_io_id=0,
        io=(IoElement(239, 1, 1), IoElement(66, 2, 13_800)),
    )
    return Packet(encode_tcp_frame(AvlPacket(CodecId.CODEC_8_EXTENDED, (record,))), 1)
