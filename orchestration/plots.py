"""Pictures for materialisations, where people would rather look than read: PNG, carried along in Markdown.

matplotlib is imported when a picture is drawn: the web server and the daemon, which load this location too,
never draw one. Colours are from Okabe and Ito's palette, which colour-blind people tell apart.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from warehouse.measures import TierSize

BLUE: Final = "#0072B2"
ORANGE: Final = "#D55E00"
GREY: Final = "#7F7F7F"
TIER_COLOURS: Final = {"hot": ORANGE, "warm": "#E69F00", "cold": BLUE, "archive": "#56B4E9"}
DPI: Final = 90
MEGABYTE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Volume:
    """Rows by day, and what is usual."""

    rows: Mapping[date, int]
    late_share: Mapping[date, float]
    factor: float
    """Of the check `volume`: a day within this factor of the usual is no surprise."""


def as_image(name: str, png: bytes) -> str:
    """A picture in Markdown, there as long as the event is."""
    return f"![{name}](data:image/png;base64,{base64.b64encode(png).decode()})"


def volume_png(volume: Volume) -> bytes:
    """Rows per day with the band that the check `volume` allows, and the share that came in late."""
    figure = _figure(8.4, 4.2)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    days = sorted(volume.rows)
    usual = median(volume.rows.values()) if days else 0
    above.axhspan(
        usual / volume.factor, usual * volume.factor, color=GREY, alpha=0.15, label="allowed by the check"
    )
    above.axhline(usual, color=GREY, linestyle="--", linewidth=1, label="median")
    above.bar(days, [volume.rows[day] for day in days], color=BLUE, width=0.9, label="rows")
    above.set_ylabel("rows a day")
    above.set_ylim(0, max([*volume.rows.values(), 1]) * 1.15)
    above.legend(loc="lower right", bbox_to_anchor=(1, 1), fontsize=8, frameon=False, ncols=3)
    late = sorted(volume.late_share)
    below.plot(late, [100 * volume.late_share[day] for day in late], color=ORANGE, marker=".", linewidth=1)
    below.set_ylabel("late (%)")
    below.set_ylim(bottom=0)
    below.tick_params(axis="x", rotation=30)
    for axes in (above, below):
        _dress(axes)
    above.set_title("Records by day, and how many of them a day late", fontsize=10, loc="left")
    return _png(figure)


def tiers_png(tiers: "Sequence[TierSize]") -> bytes:
    """Storage of each tier, with what a row takes there."""
    figure = _figure(8.4, 2.6)
    axes = figure.subplots()
    sizes = [tier.bytes_on_disk / MEGABYTE for tier in tiers]
    bars = axes.barh([tier.tier for tier in tiers], sizes, color=[TIER_COLOURS[tier.tier] for tier in tiers])
    axes.bar_label(bars, [tier_words(tier) for tier in tiers], padding=4, fontsize=8)
    axes.set_xlim(0, max([*sizes, 0.001]) * 1.75)  # room for the words
    axes.invert_yaxis()
    axes.set_xlabel("MB on disk")
    _dress(axes)
    axes.set_title("Storage by tier", fontsize=10, loc="left")
    return _png(figure)


def tier_words(tier: "TierSize") -> str:
    """A tier in a few words."""
    if not tier.rows:
        return "empty"
    each = tier.bytes_on_disk / tier.rows
    return f"{tier.days} days, {tier.rows:,} rows, {each:.1f} B a row"


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def _dress(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="both", color=GREY, alpha=0.2, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)


def _png(figure: "Figure") -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
