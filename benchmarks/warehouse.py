"""`piston bench warehouse`: day loads, the daily pipeline, and the first page of two years, on own servers.

A simulated fleet's day is stored as the sink stores it. Then, with the same rows:

1. the day load against a bare binary COPY of the same rows, in turns (`day_load_rate`); the recorded drives
   likewise, where they are there;
2. the whole daily job of Dagster in a process of its own, from the start of the process to its end
   (`daily_run`): load, dbt on both engines, all checks, publishing. ClickHouse holds the day already, as it
   does a quarter of an hour after midnight, so the load merges: that is the slower case;
3. first pages of one vehicle's two years (`first_page`).
"""

import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final

import structlog

from benchmarks import day_load_rate, first_page
from benchmarks.day_load_rate import LoadRates, process_ids
from benchmarks.hot_days import HotTier
from benchmarks.measuring import Figures, Report, percentile, spread
from benchmarks.memory import forget_peak, peak_mib
from benchmarks.private_stack import private_stack
from benchmarks.processor import ProcessorWatch
from benchmarks.recorded_drives import NEVER_COLD_DAYS, recorded_drives, recordings_folder
from benchmarks.simulated_day import SimulatedDay, simulate_day
from migrations.clickhouse.tiers import follow_retention
from orchestration.home import environment_of, home_of, write_home
from stack.layout import Layout
from telematics.clock import utc_now, utc_today
from telematics.settings import Settings
from warehouse import clients

VEHICLES: Final = 2_400
"""Of which some 2,100 report on a day and make 2.1 M records."""
_ROUNDS: Final = 5
_REAL_ROUNDS: Final = 3
_PAGES: Final = 200
_REPOSITORY: Final = Path(__file__).resolve().parents[1]
_STAGES: Final[Mapping[str, str]] = {
    "analytics__telemetry": "load",
    "dbt_timescale": "dbt_timescale",
    "dbt_clickhouse": "dbt_clickhouse",
    "published__scores": "publishing",
    "reference_copy": "reference_copy",
}
"""Dagster's step → the stage it is; all others are checks."""
_SLOWEST: Final = 6


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One run of the daily job.

    Attributes:
        seconds: of the whole process.
        start_s: of them before the run began: imports, definitions.
        stages: seconds of its stages.
        nodes: dbt's seconds of each model and test.
        cpu_s: processor seconds of both servers.
        peak_mib: most memory of ClickHouse.
    """

    seconds: float
    start_s: float
    stages: dict[str, float]
    nodes: dict[str, float]
    cpu_s: dict[str, float]
    peak_mib: float


def run(
    rounds: int = _ROUNDS,
    vehicles: int = VEHICLES,
    days: int = first_page.DAYS,
    pages: int = _PAGES,
    *,
    with_recorded: bool = True,
) -> Report:
    """Measure; some six minutes.

    Args:
        rounds: of the simulated day's loads.
        vehicles: of the simulated fleet.
        days: of the history that pages are read from.
        pages: how many are read.
        with_recorded: measure loads of the recorded drives, too, where they are there.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    figures: Figures = {}
    notes: list[str] = []
    day = utc_today(utc_now) - timedelta(days=1)
    fleet = simulate_day(day, vehicles)
    with private_stack() as settings:
        _store(settings, fleet, figures)
        rates = day_load_rate.measure(settings, day, day + timedelta(days=1), rounds)
        _note_rates("", rates, 1, figures, notes)
        pipeline = run_daily(settings, day)
        _note_pipeline(pipeline, rates.rows, fleet, figures, notes)
        _measure_pages(settings, day, days, pages, figures, notes)
    folder = recordings_folder() if with_recorded else None
    if folder is None:
        notes.append("no recorded drives: figures of real drives are left out")
        return Report("warehouse", figures, tuple(notes))
    with private_stack() as settings:
        first, until = store_recorded(settings, folder)
        with clients.clickhouse(settings) as client:
            follow_retention(client, NEVER_COLD_DAYS)
        rates = day_load_rate.measure(settings, first, until, _REAL_ROUNDS)
        _note_rates("_real", rates, (until - first).days, figures, notes)
    return Report("warehouse", figures, tuple(notes))


def store_recorded(settings: Settings, folder: Path) -> tuple[date, date]:
    """Put the recorded drives into the hot tier; returns their first day, and the day after the last."""
    drives = [*recorded_drives(folder, settings.data)]
    hot = HotTier(settings, [device for device, _ in drives])
    try:
        hot.take([frame for _, frames in drives for frame in frames])
        return hot.days()
    finally:
        hot.close()


def run_daily(settings: Settings, day: date) -> Pipeline:
    """Run the daily job for a day.

    Raises:
        RuntimeError: the run failed; its last words.
    """
    write_home(settings)
    servers = process_ids(settings)
    forget_peak(servers["clickhouse"])
    watch, started = ProcessorWatch(servers), time.perf_counter()
    words = Layout.of(settings).log / "bench-daily.log"
    with words.open("w") as log:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.daily_run", "--day", day.isoformat()],
            env=environment_of(settings, os.environ),
            cwd=_REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=log,
            check=False,
        )
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        message = f"the daily job failed in {home_of(settings)}: {words.read_text(errors='replace')[-2000:]}"
        raise RuntimeError(message)
    answer: dict[str, Any] = json.loads(done.stdout)
    stages: dict[str, float] = {}
    for step, spent in answer["steps"].items():
        stage = _STAGES.get(step, "checks")
        stages[stage] = stages.get(stage, 0.0) + spent
    stages["between_steps"] = answer["run_s"] - sum(stages.values())
    return Pipeline(
        seconds,
        seconds - answer["run_s"],
        stages,
        answer["nodes"],
        watch.seconds(),
        peak_mib(servers["clickhouse"]),
    )


def _store(settings: Settings, fleet: SimulatedDay, figures: Figures) -> None:
    hot = HotTier(settings, fleet.devices)
    started = time.perf_counter()
    rows = hot.take(fleet.frames)
    figures["hot_rows_per_second"] = rows / (time.perf_counter() - started)
    hot.close()


def _note_rates(kind: str, rates: LoadRates, days: int, figures: Figures, notes: list[str]) -> None:
    figures[f"day_load_ratio_to_copy_out{kind}"] = median(rates.ratios)
    figures[f"day_load_rows_per_second{kind}"] = rates.rate(rates.loads)
    figures[f"copy_out_rows_per_second{kind}"] = rates.rate(rates.copies)
    figures[f"day_reload_rows_per_second{kind}"] = rates.rate([rates.reload])
    figures[f"day_load_clickhouse_peak_mib{kind}"], figures[f"day_reload_clickhouse_peak_mib{kind}"] = (
        rates.peak_mib
    )
    for what, passes in (("day_load", rates.loads), ("copy_out", rates.copies)):
        for name, spent in rates.microseconds(passes).items():
            if spent > 0 and not (what == "copy_out" and name == "clickhouse"):
                figures[f"{what}_{name}_microseconds_per_row{kind}"] = spent
    copies, loads = ([each.seconds for each in passes] for passes in (rates.copies, rates.loads))
    notes.append(
        f"{'recorded drives' if kind else 'simulated day'}: {rates.rows:,} rows; {len(loads)} rounds in "
        f"turns; copy {spread(copies)}, load {spread(loads)}; ratios "
        + ", ".join(f"{ratio:.3f}" for ratio in sorted(rates.ratios))
        + f"; {rates.rows / days:,.0f} rows a day"
    )


def _note_pipeline(
    pipeline: Pipeline, rows: int, fleet: SimulatedDay, figures: Figures, notes: list[str]
) -> None:
    figures["daily_pipeline_seconds"] = pipeline.seconds
    figures["daily_pipeline_rows"] = float(rows)
    figures["daily_pipeline_start_seconds"] = pipeline.start_s
    for stage, seconds in pipeline.stages.items():
        figures[f"daily_pipeline_{stage}_seconds"] = seconds
    models = {name: spent for name, spent in pipeline.nodes.items() if name.startswith("model.")}
    figures["dbt_model_seconds"] = sum(models.values())
    figures["dbt_test_seconds"] = sum(pipeline.nodes.values()) - figures["dbt_model_seconds"]
    figures["daily_pipeline_clickhouse_peak_mib"] = pipeline.peak_mib
    for name, seconds in pipeline.cpu_s.items():
        figures[f"daily_pipeline_{name}_cpu_seconds"] = seconds
    slowest = sorted(models, key=models.__getitem__, reverse=True)[:_SLOWEST]
    notes.append(
        f"daily job: {len(fleet.devices):,} vehicles, {fleet.reporting:,} of them reported; {rows:,} rows, "
        f"in ClickHouse already; {len(models)} models, {len(pipeline.nodes) - len(models)} tests; slowest: "
        + ", ".join(f"{name.rpartition('.')[2]} {models[name]:.1f} s" for name in slowest)
    )


def _measure_pages(
    settings: Settings, day: date, days: int, pages: int, figures: Figures, notes: list[str]
) -> None:
    built = first_page.build(settings, day, days)
    spent = asyncio.run(first_page.read_pages(settings, built, pages))
    figures["first_page_ms"] = median(spent["cold"])
    figures["first_page_p99_ms"] = percentile(spent["cold"], 99)
    figures["first_page_warm_ms"] = median(spent["warm"])
    figures["first_page_warm_p99_ms"] = percentile(spent["warm"], 99)
    asked_ms = first_page.request_pages(settings, built, pages)
    figures["first_page_http_ms"] = median(asked_ms)
    figures["first_page_http_p99_ms"] = percentile(asked_ms, 99)
    notes.append(
        f"first pages: {first_page.LIMIT:,} records, {built.rows:,} rows of {built.vehicles:,} vehicles in "
        f"{days} days, {built.cold_days} of them cold, {built.bytes_on_disk / 2**20:,.0f} MiB; {pages} pages "
        f"of each kind, one at a time, of {len(built.vins)} vehicles with all their records"
    )
