"""A plot for each benchmark's figures, as PNG, drawn without pyplot and hence without global state.

Colours are from Okabe and Ito's palette, which colour-blind people tell apart; bars also carry their numbers.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from benchmarks.measuring import Figures

OURS: Final = "#0072B2"
USUAL: Final = "#D55E00"
OTHER: Final = "#999999"
_PARTS: Final = {
    "gateway": "#0072B2",
    "kafka": "#E69F00",
    "sink": "#56B4E9",
    "timescale": "#009E73",
    "live": "#CC79A7",
    "valkey": "#D55E00",
    "clickhouse": "#999999",
    "api": "#F0E442",
}
_STAGES: Final = {
    "start": "#999999",
    "load": "#0072B2",
    "reference_copy": "#F0E442",
    "dbt_timescale": "#009E73",
    "dbt_clickhouse": "#E69F00",
    "checks": "#56B4E9",
    "publishing": "#CC79A7",
    "between_steps": "#DDDDDD",
}
"""Of the daily job, in their order."""
_DPI: Final = 120
_LIMIT: Final[Mapping[str, Any]] = {"color": "#222222", "linestyle": "--", "linewidth": 1.1}


def decode(figures: Figures) -> bytes:
    """Records a second of both decoders, on a scale of powers of ten."""
    figure, (batch, live) = _figure(2, "Decoding on one core, checksum included")
    for axes, prefix, words in (
        (batch, "", "1 to 30 records a frame"),
        (live, "live_", "1.4 records a frame"),
    ):
        naive = 1e6 / figures[f"{prefix}naive_microseconds_per_record"]
        _bars(
            axes, {"naive": (naive, USUAL), "batch decoder": (figures[f"{prefix}records_per_second"], OURS)}
        )
        axes.set_xscale("log")
        axes.set_xlim(1e5, 3e7)
        axes.set(title=f"{words}: {figures[f'{prefix}ratio_to_naive']:.0f} ×", xlabel="records a second")
    return _png(figure)


def gateway(figures: Figures) -> bytes:
    """Processor time of a frame, and how long an acknowledgement takes."""
    figure, (cost, latency) = _figure(2, "Gateway: a frame is acknowledged when Kafka has it")
    _bars(
        cost,
        {
            "asyncio streams, no store": (figures["asyncio_streams_microseconds_per_frame"], USUAL),
            "gateway, acks=all": (figures["microseconds_per_frame"], OURS),
            "load generator": (figures["load_generator_microseconds_per_frame"], OTHER),
        },
    )
    cost.set(title=f"{figures['ratio_to_asyncio_streams']:.2f} ×", xlabel="µs of processor time a frame")
    _bars(latency, {"median": (figures["ack_p50_ms"], OURS), "p99": (figures["ack_p99_ms"], OURS)}, 15)
    latency.set(title="100 connections; dashed: at most", xlabel="ms from frame to acknowledgement")
    return _png(figure)


def sink(figures: Figures) -> bytes:
    """Processor time of a row, client's and server's, both ways."""
    figure, (stage, store) = _figure(2, "Sink: frames to committed rows")
    _bars(
        stage,
        {
            "1 to 30 records a frame": (figures["microseconds_per_record"], OURS),
            "1.4 records a frame": (figures["live_microseconds_per_record"], OURS),
        },
        1.5,
    )
    stage.set(title="decoding and row building; dashed: at most", xlabel="µs of processor time a record")
    client = figures["row_jsonb_building_microseconds"] + figures["row_jsonb_writing_microseconds"]
    _stacks(
        store,
        {
            "row by row, JSONB": {"client": client, "server": figures["row_jsonb_server_microseconds"]},
            "sink, COPY BINARY": {
                "client": figures["copy_client_microseconds"],
                "server": figures["copy_server_microseconds"],
            },
        },
        {"client": OURS, "server": "#009E73"},
    )
    store.set(title=f"{figures['copy_ratio_to_row_jsonb']:.2f} ×", xlabel="µs of processor time a row")
    return _png(figure)


def live(figures: Figures) -> bytes:
    """Processor time of a record in the live writer, reference and compiled."""
    figure, (axes,) = _figure(1, "Live writer: frames to newest state and alerts")
    _bars(
        axes,
        {
            "reference": (figures["reference_microseconds_per_record"], USUAL),
            "compiled": (figures["microseconds_per_record"], OURS),
        },
    )
    axes.set(title=f"{figures['ratio_to_reference']:.1f} ×", xlabel="µs of processor time a record")
    return _png(figure)


def end_to_end(figures: Figures) -> bytes:
    """What a record costs in each process, and how many records a second become durable."""
    figure, (cost, rate) = _figure(2, "End to end: everything on one machine", height=3.6)
    stages = {name: figures[f"stage_{name}_microseconds_per_record"] for name in ("gateway", "sink", "live")}
    _stacks(
        cost,
        {
            "backfill": _split(figures, "backfill_"),
            "live frames": _split(figures, "live_"),
            "stages alone,\neach with its server": stages,
        },
        _PARTS,
    )
    cost.set(
        title=f"all at once costs {figures['ratio_to_stage_sum']:.2f} × the stages alone",
        xlabel="µs of processor time a record",
    )
    _bars(
        rate,
        {
            "backfill": (figures["backfill_records_per_second"], OURS),
            "live frames": (figures["live_records_per_second"], OURS),
        },
    )
    rate.xaxis.set_major_formatter(EngFormatter())
    for place, limit in enumerate((100_000, 40_000)):
        rate.plot([limit, limit], [place - 0.4, place + 0.4], **_LIMIT)
    rate.set(
        title=f"freshness at 10,000 records/s: p99 {figures['freshness_p99_ms']:.0f} ms\ndashed: at least",
        xlabel="durable records a second",
    )
    return _png(figure)


def search(figures: Figures) -> bytes:
    """Median and 99th percentile of searches, by how many vehicles the partner may find or what it asks."""
    figure, (axes,) = _figure(1, "Search: the whole API, one request after another", height=4.2)
    prefix = "search_p99_ms_"
    kinds = [name.removeprefix(prefix) for name in figures if name.startswith(prefix)]
    bars: dict[str, tuple[float, str]] = {}
    for kind in kinds:
        words = kind.replace("_", " ")
        bars[f"{words}, p99"] = (figures[f"{prefix}{kind}"], OURS)
        if (middle := figures.get(f"search_p50_ms_{kind}")) is not None:
            bars[f"{words}, median"] = (middle, OTHER)
    _bars(axes, bars, 50)
    axes.set(title="dashed: at most, for p99", xlabel="ms")
    return _png(figure)


def warehouse(figures: Figures) -> bytes:
    """Rows a second of copy and load, the daily job's stages, and how long a first page takes."""
    figure, (rate, stages, page) = _figure(
        3, "Warehouse: a day of a simulated fleet, two years of pages", 3.4
    )
    kinds = {kind: f"day_load_ratio_to_copy_out{kind}" for kind in ("", "_real")}
    bars: dict[str, tuple[float, str]] = {}
    for kind, ratio in kinds.items():
        if ratio in figures:
            words = "real drives" if kind else "simulated day"
            bars[f"{words}, bare COPY"] = (figures[f"copy_out_rows_per_second{kind}"], USUAL)
            bars[f"{words}, day load"] = (figures[f"day_load_rows_per_second{kind}"], OURS)
    _bars(rate, bars)
    rate.xaxis.set_major_formatter(EngFormatter())
    ratios = ", ".join(f"{figures[ratio]:.2f} ×" for ratio in kinds.values() if ratio in figures)
    rate.set(title=ratios, xlabel="rows a second")
    prefix, suffix = "daily_pipeline_", "_seconds"
    spent = {
        stage.replace("_", " "): figures[f"{prefix}{stage}{suffix}"]
        for stage in _STAGES
        if f"{prefix}{stage}{suffix}" in figures
    }
    _stacks(stages, {"daily job": spent}, {stage.replace("_", " "): hue for stage, hue in _STAGES.items()})
    stages.set_ylim(-1, 1)
    stages.set(
        title=f"{figures['daily_pipeline_rows']:,.0f} rows: {figures['daily_pipeline_seconds']:.0f} s; "
        "at most 180 s",
        xlabel="s",
    )
    _bars(
        page,
        {
            f"{words}, {share}": (figures[f"first_page{kind}{part}_ms"], hue)
            for kind, words in (("", "cold"), ("_warm", "warm"), ("_http", "cold, API"))
            for part, share, hue in (("", "median", OTHER), ("_p99", "p99", OURS))
        },
        100,
    )
    page.set(title="first 1,000 records; dashed: at most", xlabel="ms")
    return _png(figure)


def storage(figures: Figures) -> bytes:
    """Bytes of a record in each tier and in the blueprint's layout."""
    figure, axes = _figure(2, "Storage: the same records in every tier, indexes and all")
    for each, (kind, words) in zip(
        axes, (("real", "recorded drives"), ("simulated", "simulated fleet")), strict=True
    ):
        named = {
            "Parquet archive": ("parquet_bytes_per_row", OURS),
            "cold, ZSTD": ("clickhouse_cold_bytes_per_row", OURS),
            "warm, LZ4": ("clickhouse_bytes_per_row", OURS),
            "hot, typed": ("hot_bytes_per_row", OTHER),
            "blueprint, JSONB": ("blueprint_bytes_per_row", USUAL),
        }
        _bars(each, {name: (figures[f"{prefix}_{kind}"], hue) for name, (prefix, hue) in named.items()})
        reduced = figures[f"reduction_percent_{kind}"]
        typed = figures[f"reduction_percent_{kind}_typed"]
        each.set(
            title=f"{words}: cold {reduced:.1f} % below the\nblueprint's layout, {typed:.1f} % below hot",
            xlabel="bytes a record",
        )
    return _png(figure)


PLOTS: Final[Mapping[str, Callable[[Figures], bytes]]] = {
    "decode": decode,
    "gateway": gateway,
    "sink": sink,
    "live": live,
    "end-to-end": end_to_end,
    "search": search,
    "warehouse": warehouse,
    "storage": storage,
}
"""Benchmark → its plot."""


def _split(figures: Figures, prefix: str) -> dict[str, float]:
    found = {name: figures.get(f"{prefix}{name}_microseconds_per_record", 0.0) for name in _PARTS}
    return {name: value for name, value in found.items() if value}


def _figure(count: int, title: str, height: float = 2.6) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=(5.8 * count, height), layout="constrained")
    figure.suptitle(title, fontsize=13)
    axes = figure.subplots(1, count, squeeze=False)[0]
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _bars(axes: Axes, bars: Mapping[str, tuple[float, str]], at_most: float | None = None) -> None:
    names, values = list(bars), [value for value, _ in bars.values()]
    drawn = axes.barh(names, values, color=[colour for _, colour in bars.values()], height=0.6)
    axes.bar_label(drawn, [_number(value) for value in values], padding=4)
    axes.set_xlim(0, max(*values, at_most or 0.0) * 1.25)
    if at_most is not None:
        axes.axvline(at_most, **_LIMIT)


def _stacks(axes: Axes, stacks: Mapping[str, Mapping[str, float]], colours: Mapping[str, str]) -> None:
    named: set[str] = set()
    totals = [sum(parts.values()) for parts in stacks.values()]
    for place, (name, parts) in enumerate(stacks.items()):
        left = 0.0
        for part, value in parts.items():
            label = None if part in named else part
            named.add(part)
            axes.barh(name, value, left=left, color=colours[part], label=label, height=0.6)
            left += value
        axes.text(left + max(totals) * 0.01, place, _number(left), va="center")
    axes.set_xlim(0, max(totals) * 1.15)
    axes.legend(fontsize=8, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.28), frameon=False)


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _png(figure: Figure) -> bytes:
    FigureCanvasAgg(figure)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=_DPI, metadata={"Software": None})
    return out.getvalue()
