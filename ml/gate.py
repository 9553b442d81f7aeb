"""The gate before promotion: each condition is a sentence with its numbers.

A candidate passes when every verdict does. Calibration asks for an O/E of 0.9 to 1.1. A thousand cars of two
years cannot show that: good models came out anywhere from 0.86 to 1.15 there (`docs/models.md`). So a point
outside is accepted while its interval still reaches into the range, but never beyond OE_LIMITS, and the
sentence says so. An interval wider than MAX_OE_HALF_WIDTH on a side is refused wherever its point lies.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from ml.evaluation import Evaluation

MIN_PRECISION_RATIO: Final = 1.5
OE_RANGE: Final = (0.9, 1.1)
MAX_OE_HALF_WIDTH: Final = 0.35
"""[A] On either side of the point: a wider interval reaches into the range from anywhere and says nothing."""
OE_LIMITS: Final = (0.8, 1.25)
"""[A] However few the failures, no model that is further off than this is promoted."""
MIN_FAILURES: Final = 40
"""[A] Distinct held-out failures below which nothing is promoted."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One condition.

    Attributes:
        name: short, for a check's name.
        passed: whether it holds.
        sentence: what was asked and what was found, with interval.
    """

    name: str
    passed: bool
    sentence: str


def judge(evaluation: Evaluation) -> tuple[Verdict, ...]:
    """The verdicts on the model that was evaluated."""
    return (
        _enough_failures(evaluation),
        _lower_loss(evaluation, "km", "the Kaplan–Meier curve"),
        _lower_loss(evaluation, "rule", "the calibrated crank-voltage rule"),
        _better_ranking(evaluation),
        _calibrated(evaluation),
    )


def is_passed(verdicts: tuple[Verdict, ...]) -> bool:
    """Whether the candidate may be promoted."""
    return all(verdict.passed for verdict in verdicts)


def _enough_failures(evaluation: Evaluation) -> Verdict:
    count = evaluation.failure_count
    passed = count >= MIN_FAILURES
    advice = "" if passed else "; load a longer history or more vehicles"
    sentence = (
        f"{count} held-out failures of {evaluation.vehicle_count} vehicles from {evaluation.cutoff} on, "
        f"at least {MIN_FAILURES} asked{advice}"
    )
    return Verdict("enough_failures", passed, sentence)


def _lower_loss(evaluation: Evaluation, name: str, words: str) -> Verdict:
    figure = evaluation.figures[f"log_loss_vs_{name}"]
    passed = bool(np.isfinite(figure.high) and figure.high < 0)
    found = "excludes zero" if passed else "does not stay below zero"
    sentence = (
        f"90-day log-loss differs by {figure.point:+.4f} [{figure.low:+.4f}, {figure.high:+.4f}] "
        f"from {words}: the interval {found}"
    )
    return Verdict(f"log_loss_vs_{name}", passed, sentence)


def _better_ranking(evaluation: Evaluation) -> Verdict:
    figure = evaluation.figures["average_precision_vs_rule"]
    passed = bool(figure.point >= MIN_PRECISION_RATIO)
    sentence = (
        f"90-day average precision is {figure.point:.2f} [{figure.low:.2f}, {figure.high:.2f}] times that of "
        f"the crank-voltage rule, at least {MIN_PRECISION_RATIO} asked"
    )
    return Verdict("average_precision_vs_rule", passed, sentence)


def _calibrated(evaluation: Evaluation) -> Verdict:
    figure = evaluation.figures["oe_ratio"]
    low, high = OE_RANGE
    is_near = bool(low <= figure.point <= high)
    is_possible = bool(
        figure.low <= high and figure.high >= low and OE_LIMITS[0] <= figure.point <= OE_LIMITS[1]
    )
    is_sharp = bool(max(figure.point - figure.low, figure.high - figure.point) <= MAX_OE_HALF_WIDTH)
    sentence = (
        f"90-day observed over expected failures is {figure.point:.2f} "
        f"[{figure.low:.2f}, {figure.high:.2f}], {low} to {high} asked"
    )
    if (is_near or is_possible) and not is_sharp:
        sentence += f"; the interval is wider than {MAX_OE_HALF_WIDTH} on a side: too few failures"
    elif is_possible and not is_near:
        sentence += (
            f": outside, but {evaluation.failure_count} failures cannot tell it from inside, and "
            f"{OE_LIMITS[0]} to {OE_LIMITS[1]} is never left"
        )
    return Verdict("oe_ratio", (is_near or is_possible) and is_sharp, sentence)
