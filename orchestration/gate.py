"""The gate as asset checks: blocking, so that what did not pass is not promoted in the same run."""

from collections.abc import Iterator
from typing import Final

import dagster as dg

from orchestration.candidates import StoredCandidate, load_candidate
from orchestration.faults import told_apart
from telematics.settings import Settings

BATTERY_EVALUATION: Final = dg.AssetKey(["models", "battery_evaluation"])

CONDITIONS: Final = {
    "enough_failures": "Enough held-out failures to judge by.",
    "log_loss_vs_km": "Better than one survival curve for all vehicles, and surely so.",
    "log_loss_vs_rule": "Better than the crank-voltage rule, and surely so.",
    "average_precision_vs_rule": "Ranks failing vehicles well above what the crank-voltage rule does.",
    "oe_ratio": "As many failures as predicted, within 0.9 to 1.1, or as near as so few failures can tell.",
}
"""What `ml.gate.judge` decides, known here without importing the models; a test compares the names."""


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(name, asset=BATTERY_EVALUATION, description=words, blocking=True)
        for name, words in CONDITIONS.items()
    ],
    name="battery_gate",
    can_subset=True,
)
def battery_gate(
    context: dg.AssetCheckExecutionContext, settings: dg.ResourceParam[Settings]
) -> Iterator[dg.AssetCheckResult]:
    """Each condition with what was asked and what was found."""
    with told_apart():
        candidate = load_candidate(settings, "battery")
        verdicts = candidate.verdicts()
    wanted = {key.name for key in context.selected_asset_check_keys}
    for verdict in verdicts:
        if verdict.name in wanted:
            yield dg.AssetCheckResult(
                asset_key=BATTERY_EVALUATION,
                check_name=verdict.name,
                passed=verdict.passed,
                description=verdict.sentence,
                metadata=verdict_metadata(candidate, verdict.name),
            )


def verdict_metadata(candidate: StoredCandidate, name: str) -> dict[str, dg.MetadataValue]:
    """The numbers that a verdict rests on, which the web server draws over the trainings."""
    figure = candidate.evaluation.figures.get(name)
    if figure is None:
        return {"held_out_failures": dg.MetadataValue.int(candidate.evaluation.failure_count)}
    numbers = {"point": figure.point, "low": figure.low, "high": figure.high}
    return {key: dg.MetadataValue.float(value) for key, value in numbers.items() if value == value}


GATE_CHECKS: Final = [battery_gate]
