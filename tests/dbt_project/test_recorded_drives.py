"""The first weeks of a recorded car: dbt finds the trips and kilometres that its files hold.

The records are encoded by the replay, decoded and measured as the sink does it. What they are judged by is
counted on the files' own text. `piston replay compare` does the same for whole cars on a running stack.
"""

import csv
import os
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from simulation.replay.ved_recording import OpenRecording, find_recordings, select_recordings
from simulation.replay.ved_source import VedSource
from telematics.settings import Settings
from tests.dbt_project.conftest import Sandbox, open_sandbox
from tests.simulation.fleet.derivation import rows_of

pytestmark = pytest.mark.integration
CAR, BLOCKS = 597, 4


class Recorded(NamedTuple):
    trips: int
    km: float


class Part:
    """The first blocks of a source."""

    def __init__(self, source: VedSource) -> None:
        self._source = source

    def blocks(self, skip: int):  # type: ignore[no-untyped-def]
        return islice(self._source.blocks(skip), BLOCKS)


def counted(opened: OpenRecording) -> Recorded:
    """Trips, and trapezoids of speed over steps of at most a minute, of the same part."""
    trips, km = 0, 0.0
    for batch in islice(opened.batches(4096), BLOCKS):
        for trip in batch:
            rows = [
                (float(row["Timestamp(ms)"]), float(row["Vehicle Speed[km/h]"]))
                for row in csv.DictReader(opened.read(trip).decode().splitlines())
            ]
            trips += 1
            km += sum(
                (before[1] + after[1]) / 2 * (after[0] - before[0]) / 3_600_000
                for before, after in pairwise(rows)
                if after[0] - before[0] <= 60_000
            )
    return Recorded(trips, km)


@pytest.fixture(scope="module")
def drives(
    stack: Settings, repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Sandbox, Recorded]]:
    folder = Path(os.environ.get("PISTON_VED_DIR") or repository.parent / "shared/data/ved")
    if not folder.is_dir():
        pytest.skip(f"no VED recordings at {folder}; PISTON_VED_DIR names another folder")
    [recording] = select_recordings(find_recordings(folder), [CAR])
    with recording.open() as opened:
        recorded = counted(opened)
    source = VedSource(recording, 0)
    with open_sandbox(stack, tmp_path_factory.mktemp("recorded")) as sandbox:
        sandbox.insert(
            "telemetry",
            [
                {
                    "time": at, "device_id": source.device.imei, "vin": source.device.vin,
                    "origin": "recorded", "event_id": row["event_id"], "speed_mph": row["speed_mph"],
                    "lat": row["lat"], "lng": row["lng"], "is_valid": row["is_valid"], "rpm": row.get("rpm"),
                    "raw_data": (row.get("raw_data") or "") if row["event_id"] == 250 else "",
                    "dtc_codes": [], "dtc_known": False, "received_at": at, "content_hash": number,
                    "stream_position": number,
                }
                for number, (at, row) in enumerate(rows_of(Part(source)))
            ],
        )  # fmt: skip
        done = sandbox.dbt("run", "--select", "+trips", "+vehicle_analytics", "+harsh_events")
        assert done.returncode == 0, done.stdout
        yield sandbox, recorded


def test_trips_and_kilometres_are_those_of_the_recording(drives: tuple[Sandbox, Recorded]):
    sandbox, recorded = drives
    assert recorded.trips > 5
    [(trips, km)] = sandbox.client.query(
        f"select count(), sum(distance_m) / 1000 from {sandbox.database}.trips"
    ).result_rows
    [(by_day, chosen_km)] = sandbox.client.query(
        f"select sum(trip_count), sum(chosen_distance_m) / 1000 from {sandbox.database}.vehicle_analytics"
    ).result_rows
    assert trips == by_day == pytest.approx(recorded.trips, rel=0.02)
    assert km == pytest.approx(recorded.km, rel=0.01)
    assert chosen_km == pytest.approx(recorded.km, rel=0.01)


def test_ordinary_driving_is_rarely_harsh(drives: tuple[Sandbox, Recorded]):
    """0.14 events a kilometre over the whole year; the thresholds of before found 2.8."""
    sandbox, recorded = drives
    [(events, hardest)] = sandbox.client.query(
        f"select count(), max(peak_g) from {sandbox.database}.harsh_events"
    ).result_rows
    assert 0 < events < recorded.km
    assert hardest < 0.9, "harder than tyres hold: noise of the bus"
