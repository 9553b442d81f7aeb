"""Charts of an evaluation as PNG, drawn without pyplot and hence without global state.

Colours are from Okabe and Ito's palette, which colour-blind people tell apart; lines also differ in style.
"""

import io
from typing import Final, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from ml.evaluation import Evaluation

BLUE: Final = "#0072B2"
ORANGE: Final = "#D55E00"
GREEN: Final = "#009E73"
GREY: Final = "#7F7F7F"
INK: Final = "#222222"
DPI: Final = 130
SHOWN_DECILES: Final = ((1, GREEN), (5, BLUE), (9, "#CC79A7"), (10, ORANGE))
CLAIMS: Final = (
    ("risk_30", "risk of failure within 30 days"),
    ("risk_90", "risk of failure within 90 days"),
    ("confidence", "confidence of the stated claim"),
)


def reliability_png(evaluation: Evaluation) -> bytes:
    """Stated against observed shares of both risks and of the confidence, with intervals."""
    figure = Figure(figsize=(13.2, 4.6), layout="constrained")
    for axes, (claim, words) in zip(figure.subplots(1, 3), CLAIMS, strict=True):
        table = evaluation.reliability
        _reliability(axes, table[table["claim"] == claim], words)
    return _png(figure, "Reliability: is it as likely as stated?", evaluation)


def _reliability(axes: Axes, table: pd.DataFrame, words: str) -> None:
    stated, observed = table["predicted"].to_numpy(), table["observed"].to_numpy()
    low, high = table["low"].to_numpy(), table["high"].to_numpy()
    top = min(1.0, max(float(stated.max()), float(np.nanmax(high))) * 1.08)
    bottom = 0.0 if stated.min() < 0.5 or top < 0.5 else max(0.0, float(np.nanmin(low)) - 0.03)
    axes.plot([bottom, top], [bottom, top], color=GREY, linestyle="--", linewidth=1.2, label="as stated")
    errors = np.clip(np.vstack([observed - low, high - observed]), 0, None)
    axes.errorbar(
        stated, observed, yerr=errors, fmt="o", color=BLUE, ecolor=BLUE, elinewidth=1.3, capsize=3,
        markersize=6, label="seen, 95 % interval",
    )  # fmt: skip
    axes.set(xlabel=f"stated {words} (%)", ylabel="came true (%)", xlim=(bottom, top), ylim=(bottom, top))
    _percent(axes, both=True)
    _dress(axes)


def survival_png(evaluation: Evaluation) -> bytes:
    """Predicted curves and what was seen (Kaplan–Meier) in tenths of the 90 day risk."""
    figure = Figure(figsize=(8.4, 5.2), layout="constrained")
    axes = figure.subplots()
    for decile, colour in SHOWN_DECILES:
        table = evaluation.survival[evaluation.survival["decile"] == decile]
        if table.empty:
            continue
        axes.step(
            table["day"], table["observed"], where="post", color=colour, linewidth=2.0, label=_tenth(decile)
        )
        axes.plot(table["day"], table["predicted"], color=colour, linewidth=1.5, linestyle=(0, (4, 2)))
    axes.plot([], [], color=INK, linewidth=2.0, label="seen (Kaplan–Meier)")
    axes.plot([], [], color=INK, linewidth=1.5, linestyle=(0, (4, 2)), label="predicted")
    axes.set(xlabel="days after the prediction (d)", ylabel="batteries still working (%)", ylim=(0, 1.02))
    axes.set_xlim(left=0)
    _percent(axes)
    _dress(axes, location="lower left")
    return _png(figure, "Survival by tenth of the stated risk", evaluation)


def _tenth(decile: int) -> str:
    return {1: "lowest tenth of risk", 10: "highest tenth of risk"}.get(decile, f"tenth {decile} of 10")


def lift_png(evaluation: Evaluation) -> bytes:
    """Failures found within 90 days by share of the fleet checked: model, rule, oracle, chance."""
    figure = Figure(figsize=(8.4, 5.2), layout="constrained")
    axes = figure.subplots()
    table = evaluation.lift
    share = np.concatenate([[0.0], table["share"]])
    for name, words, colour, style in (
        ("oracle", "simulator's own truth", GREY, "-."),
        ("model", "this model", BLUE, "-"),
        ("rule", "lowest crank voltage first", ORANGE, "--"),
    ):
        if name in table:
            found = np.concatenate([[0.0], table[name]])
            axes.plot(
                share,
                found,
                color=colour,
                linestyle=style,
                linewidth=2.2,
                marker="o",
                markersize=4,
                label=words,
            )
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1.4, label="by chance")
    axes.axvline(0.02, color=INK, linewidth=0.9, alpha=0.6)
    axes.annotate(
        "alert budget 2 %", (0.02, 0.02), xytext=(6, 0), textcoords="offset points", fontsize=9, color=INK
    )
    axes.set(
        xlabel="share of predictions checked, riskiest first (%)", ylabel="failures within 90 days found (%)",
        xlim=(0, 1), ylim=(0, 1.02),
    )  # fmt: skip
    _percent(axes, both=True)
    _dress(axes, location="lower right")
    return _png(figure, "Lift: how many failures a check of few vehicles finds", evaluation)


def _percent(axes: Axes, *, both: bool = False) -> None:
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))
    if both:
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))


def _dress(axes: Axes, location: Literal["upper left", "lower left", "lower right"] = "upper left") -> None:
    axes.grid(color="#DDDDDD", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(loc=location, frameon=False, fontsize=9)


def _png(figure: Figure, title: str, evaluation: Evaluation) -> bytes:
    figure.suptitle(
        f"{title}\n{evaluation.component}, {evaluation.vehicle_count} held-out vehicles from "
        f"{evaluation.cutoff}, {evaluation.failure_count} failures",
        fontsize=12, color=INK, x=0.01, ha="left",
    )  # fmt: skip
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()
