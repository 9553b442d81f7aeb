"""`piston bench decode`: the batch decoder against a naive one, on the same frames, in turns."""

from statistics import median
from typing import Final

from benchmarks.baselines.naive_decoder import decode_frame
from benchmarks.measuring import (
    BaselineCheck,
    Figures,
    Report,
    calibrate,
    calibration_scale,
    in_turns,
    spread,
)
from benchmarks.workload import Traffic, Workload, build_workload
from ingest.batch.decoder import BatchDecoder

FRAMES_PER_CALL: Final = 1000
"""What the sink takes at once (`sink_batch_frames`)."""
NAIVE_REFERENCE_US: Final = {Traffic.BATCH: 5.1, Traffic.LIVE: 5.6}
"""Microseconds a record of the naive decoder where the reference figures were measured."""
_REPEATS: Final = {Traffic.BATCH: 4, Traffic.LIVE: 20}
"""Calls of the batch decoder in one measurement, so that the clock's grain does not matter."""


def run(rounds: int = 9) -> Report:
    """Measure; some ten seconds.

    Args:
        rounds: measurements of each figure.
    """
    figures: Figures = {}
    notes: list[str] = []
    decoder = BatchDecoder()
    for traffic in Traffic:
        workload = build_workload(traffic, FRAMES_PER_CALL)
        _measure(decoder, workload, traffic, rounds, figures, notes)
    return Report("decode", figures, tuple(notes))


def _measure(
    decoder: BatchDecoder,
    workload: Workload,
    traffic: Traffic,
    rounds: int,
    figures: Figures,
    notes: list[str],
) -> None:
    repeats = _REPEATS[traffic]

    def batch() -> None:
        for _ in range(repeats):
            decoder.decode(workload.frames)

    def naive() -> None:
        for frame in workload.frames:
            decode_frame(frame)

    batch()
    batch_s, naive_s, calibration_s = in_turns(rounds, batch, naive, calibrate)
    batch_us = median(batch_s) / repeats / workload.record_count * 1e6
    naive_us = median(naive_s) / workload.record_count * 1e6
    scale = calibration_scale(calibration_s)
    check = BaselineCheck(f"naive decoder, {traffic}", naive_us, NAIVE_REFERENCE_US[traffic], scale)
    prefix = "" if traffic is Traffic.BATCH else f"{traffic}_"
    figures |= {
        f"{prefix}ratio_to_naive": naive_us / batch_us,
        f"{prefix}records_per_second": 1e6 / batch_us,
        f"{prefix}microseconds_per_record": batch_us,
        f"{prefix}naive_microseconds_per_record": naive_us,
        f"{prefix}naive_to_reference": check.quotient,
        f"{prefix}ratio_counts": float(check.counts),
        f"{prefix}calibration": scale,
    }
    notes += (
        f"{traffic}: {len(workload.frames):,} frames, {workload.record_count:,} records, "
        f"{workload.byte_count / workload.record_count:.0f} B a record; {rounds} rounds, batch decoder "
        f"{spread(batch_s)}",
        check.note(),
    )
