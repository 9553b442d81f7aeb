"""The gate's rules, one by one, at their limits."""

from dataclasses import replace

import pytest

from ml.bootstrap import Figure
from ml.evaluation import Evaluation
from ml.gate import MIN_FAILURES, is_passed, judge

GOOD = {
    "log_loss_vs_km": Figure(-0.05, -0.07, -0.03),
    "log_loss_vs_rule": Figure(-0.03, -0.04, -0.01),
    "average_precision_vs_rule": Figure(1.9, 1.6, 2.3),
    "oe_ratio": Figure(1.02, 0.9, 1.15),
}


def make_evaluation(evaluation: Evaluation, failure_count: int = 150, **figures: Figure) -> Evaluation:
    return replace(evaluation, failure_count=failure_count, figures=evaluation.figures | GOOD | figures)


def test_a_good_candidate_passes_with_sentences_that_hold_the_numbers(evaluation: Evaluation) -> None:
    verdicts = judge(make_evaluation(evaluation))
    assert is_passed(verdicts)
    assert "-0.0500 [-0.0700, -0.0300]" in verdicts[1].sentence
    assert len({verdict.name for verdict in verdicts}) == len(verdicts)


@pytest.mark.parametrize(
    ("name", "figure"),
    [
        ("log_loss_vs_km", Figure(-0.01, -0.03, 0.001)),
        ("log_loss_vs_rule", Figure(-0.01, -0.03, 0.0)),
        ("average_precision_vs_rule", Figure(1.49, 1.3, 1.7)),
        ("oe_ratio", Figure(1.2, 1.11, 1.3)),
        ("oe_ratio", Figure(0.85, 0.8, 0.89)),
        ("oe_ratio", Figure(0.79, 0.5, 1.1)),
        ("oe_ratio", Figure(1.26, 1.0, 1.5)),
        ("oe_ratio", Figure(1.0, 0.7, 1.4)),
        ("oe_ratio", Figure(0.85, 0.45, 1.1)),
        ("oe_ratio", Figure(float("nan"), float("nan"), float("nan"))),
        ("log_loss_vs_km", Figure(-0.1, float("nan"), float("nan"))),
    ],
)
def test_each_figure_alone_can_refuse(evaluation: Evaluation, name: str, figure: Figure) -> None:
    verdicts = judge(make_evaluation(evaluation, **{name: figure}))
    assert [verdict.name for verdict in verdicts if not verdict.passed] == [name]


def test_too_few_failures_refuse_with_advice(evaluation: Evaluation) -> None:
    verdicts = judge(make_evaluation(evaluation, failure_count=MIN_FAILURES - 1))
    refused = [verdict for verdict in verdicts if not verdict.passed]
    assert [verdict.name for verdict in refused] == ["enough_failures"]
    assert "load a longer history" in refused[0].sentence


@pytest.mark.parametrize("figure", [Figure(0.86, 0.74, 0.98), Figure(1.15, 1.0, 1.31)])
def test_an_oe_that_few_failures_cannot_place_is_accepted_and_said(
    evaluation: Evaluation, figure: Figure
) -> None:
    verdicts = judge(make_evaluation(evaluation, oe_ratio=figure))
    assert is_passed(verdicts)
    assert "150 failures cannot tell it from inside" in verdicts[-1].sentence
