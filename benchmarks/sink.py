"""`piston bench sink`: messages to COPY bytes to TimescaleDB, against COPY row by row with JSONB.

Two things are measured: the client stage alone (`BatchFrameDecoder`: messages to COPY bytes, no server), and
both ways from frames to committed rows, in turns, into hypertables of one server with the same kind of unique
index. `copy_ratio_to_row_jsonb` compares processor time, that of this process and of the server's backend
together: on a machine that others use, wall time tells mostly about them (its ratio is there, too). The third
ratio is unfair to us: all of our way against the writing of rows that were decoded and built beforehand.
"""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import fmean, median
from typing import Any, Final

import psycopg
from confluent_kafka import Message

from benchmarks.baselines import row_by_row
from benchmarks.baselines.naive_decoder import decode_frame
from benchmarks.database import own_timescale
from benchmarks.measuring import (
    BaselineCheck,
    Figures,
    Report,
    calibrate,
    calibration_scale,
    in_turns,
    spread,
)
from benchmarks.processor import process_seconds
from benchmarks.workload import FAMILY, Traffic, Workload, build_workload
from ingest.registry.timeline import SINCE_EVER_MS, UNTIL_FOREVER_MS, Installation, InstallationTimeline
from ingest.sink.batch_decoding import BatchFrameDecoder
from ingest.sink.store import TelemetryStore
from ingest.stream.messages import Transport, encode_headers
from telematics.names import OdometerSource, Origin, Topic
from telematics.settings import Settings

FRAMES_PER_BATCH: Final = 1000
"""`sink_batch_frames`."""
ROW_JSONB_REFERENCE_US: Final = 7.2
"""Microseconds a row that `write_row` with `Jsonb(dict)` costs the client, on the reference machine."""
_RECEIVED_AT_MS: Final = 1_742_040_000_000
_REPEATS: Final = {Traffic.BATCH: 2, Traffic.LIVE: 10}


def run(rounds: int = 5) -> Report:
    """Measure; about a minute, most of it the server's start.

    Args:
        rounds: measurements of each figure.
    """
    figures: Figures = {}
    notes: list[str] = []
    decoder = BatchFrameDecoder()
    for traffic in Traffic:
        _measure_client(decoder, traffic, rounds, figures, notes)
    with own_timescale() as settings:
        _measure_store(settings, decoder, rounds, figures, notes)
    return Report("sink", figures, tuple(notes))


def build_messages(workload: Workload, imeis: Sequence[str], first_offset: int = 0) -> list[Message]:
    """The workload's frames as a consumer delivers them, over twelve partitions."""
    return [
        Message(
            topic=Topic.AVL_FRAMES.value,
            partition=number % 12,
            offset=first_offset + number // 12,
            key=imei.encode("ascii"),
            value=frame,
            headers=encode_headers(_RECEIVED_AT_MS + number, Transport.TCP),
        )
        for number, (frame, imei) in enumerate(zip(workload.frames, imeis, strict=True))
    ]


def build_registry(imeis: Sequence[str]) -> InstallationTimeline:
    """One car for each device."""
    devices = sorted(set(imeis))
    installations = [
        Installation(
            installation_id=number,
            imei=imei,
            vin=f"0BE{number:014d}",
            origin=Origin.SIMULATED,
            start_ms=SINCE_EVER_MS,
            end_ms=UNTIL_FOREVER_MS,
            odometer_source=OdometerSource.GNSS,
        )
        for number, imei in enumerate(devices)
    ]
    return InstallationTimeline(dict.fromkeys(devices, FAMILY), installations)


def _measure_client(
    decoder: BatchFrameDecoder, traffic: Traffic, rounds: int, figures: Figures, notes: list[str]
) -> None:
    workload = build_workload(traffic, FRAMES_PER_BATCH)
    registry, messages = build_registry(workload.imeis), build_messages(workload, workload.imeis)
    repeats = _REPEATS[traffic]

    def work() -> None:
        for _ in range(repeats):
            decoder.decode(messages, registry, {})

    work()
    (seconds,) = in_turns(max(rounds, 9), work)
    prefix = "" if traffic is Traffic.BATCH else f"{traffic}_"
    figures[f"{prefix}microseconds_per_record"] = median(seconds) / repeats / workload.record_count * 1e6
    notes.append(
        f"client, {traffic}: {len(messages):,} frames of as many devices, {workload.record_count:,} records; "
        f"messages to COPY bytes, {spread(seconds)}"
    )


@dataclass(slots=True)
class _Way:
    """Times of one way, or a part of one, in seconds, round by round.

    Attributes:
        backend: process id of the server's side; None: there is none.
        client: processor time of this process.
        server: processor time of the backend.
        wall: time that passed.
    """

    backend: int | None = None
    client: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def measure(self, work: Callable[[], object]) -> None:
        before, client, wall = self._server_seconds(), time.process_time(), time.perf_counter()
        work()
        self.wall.append(time.perf_counter() - wall)
        self.client.append(time.process_time() - client)
        self.server.append(self._server_seconds() - before)

    @property
    def processor(self) -> float:
        # the server's time comes in steps of 10 ms, so its mean says more than its median
        return median(self.client) + self.server_mean

    @property
    def server_mean(self) -> float:
        return fmean(self.server)

    def _server_seconds(self) -> float:
        return 0.0 if self.backend is None else process_seconds(self.backend)


def _measure_store(
    settings: Settings, decoder: BatchFrameDecoder, rounds: int, figures: Figures, notes: list[str]
) -> None:
    registry = build_registry(build_workload(Traffic.BATCH, FRAMES_PER_BATCH).imeis)
    received_at = datetime.fromtimestamp(_RECEIVED_AT_MS / 1000, UTC)
    store = TelemetryStore(settings)
    ours, building, writing = _Way(), _Way(), _Way()
    calibration_s: list[float] = []
    with psycopg.connect(settings.timescale_dsn(), autocommit=True) as connection:
        row_by_row.create_table(connection)
        for number in range(rounds + 1):  # the first round makes the chunks and is not counted
            workload = build_workload(Traffic.BATCH, FRAMES_PER_BATCH, shift_ms=number)
            messages = build_messages(workload, workload.imeis, number * FRAMES_PER_BATCH)
            built: list[list[row_by_row.Row]] = []

            def copy(messages: list[Message] = messages) -> None:
                batch = decoder.decode(messages, registry, {})
                with store.transaction() as transaction:
                    transaction.insert(batch)

            def build(workload: Workload = workload, built: list[list[row_by_row.Row]] = built) -> None:
                frames = zip(workload.imeis, map(decode_frame, workload.frames), strict=True)
                built.append(row_by_row.build_rows(frames, received_at))

            def write(built: list[list[row_by_row.Row]] = built) -> None:
                row_by_row.store(connection, built[0])

            if number == 0:
                for work in (copy, build, write):
                    work()
                ours.backend, writing.backend = _backend_of_store(connection), connection.info.backend_pid
                continue
            gc.disable()  # rows pile up here only so that the writing can be timed apart
            for way, work in ((ours, copy), (building, build), (writing, write)):
                way.measure(work)
            gc.enable()
            calibration_s += in_turns(1, calibrate)[0]
        counts = [
            connection.execute(f"select count(*) from {table}").fetchone()
            for table in ("telemetry", "row_by_row")
        ]
    store.close()
    expected = (rounds + 1) * workload.record_count
    if counts != [(expected,), (expected,)]:
        message = f"{counts} rows are stored, {expected} were sent by each way"
        raise RuntimeError(message)
    ways = ours, building, writing
    _conclude(workload.record_count, ways, calibration_scale(calibration_s), figures, notes)


def _backend_of_store(connection: psycopg.Connection[Any]) -> int:
    found = connection.execute(
        "select pid from pg_stat_activity where pid <> pg_backend_pid() and application_name like '%sink%'"
    ).fetchall()
    ((process_id,),) = found
    return int(process_id)


def _conclude(
    count: int, ways: tuple[_Way, _Way, _Way], scale: float, figures: Figures, notes: list[str]
) -> None:
    ours, building, writing = ways
    check = BaselineCheck(
        "write_row + Jsonb, client", median(writing.client) / count * 1e6, ROW_JSONB_REFERENCE_US, scale
    )
    usual_wall = median(building.wall) + median(writing.wall)
    micro = 1e6 / count
    figures |= {
        "copy_ratio_to_row_jsonb": (building.processor + writing.processor) / ours.processor,
        "copy_ratio_to_row_jsonb_wall": usual_wall / median(ours.wall),
        "copy_ratio_to_row_jsonb_writing_only": writing.processor / ours.processor,
        "copy_records_per_second": count / median(ours.wall),
        "row_jsonb_records_per_second": count / usual_wall,
        "copy_client_microseconds": median(ours.client) * micro,
        "copy_server_microseconds": ours.server_mean * micro,
        "row_jsonb_building_microseconds": median(building.client) * micro,
        "row_jsonb_writing_microseconds": median(writing.client) * micro,
        "row_jsonb_server_microseconds": writing.server_mean * micro,
        "row_jsonb_to_reference": check.quotient,
        "ratio_counts": float(check.counts),
        "calibration": scale,
    }
    notes += (
        f"store: {count:,} rows a round, {len(ours.wall)} rounds; client of our way {spread(ours.client)}, "
        f"of the usual way's writing {spread(writing.client)}",
        check.note(),
    )
