"""The gate as asset checks: blocking, so that what did not pass is not promoted in the same run."""

from collections.abc import Iterator
from typing import Final

import dagster as dg

from orchestration.candidates import load_candidate
from orchestration.faults import told_apart
from telematics.settings import Settings

BATTERY_EVALUATION: Final = dg.AssetKey(["models", "battery_evaluation"])

CONDITIONS: Final = {
    "enough_failures": "Enough held-out failures to judge by.",
    "log_loss_vs_km": "Better than one survival curve for all vehicles, and surely so.",
    "log_loss_vs_rule": "Better than the crank-voltage rule, and surely so.",
    "average_precision_vs_rule": "Ranks failing vehicles well above what the crank-voltage rule does.",
    "oe_ratio": "As many failures as predicted.",
}
"""What `ml.gate.judge` decides, known here without importing the models; a test compares the names."""


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(name, asset=BATTERY_EVALUATION, description=words, blocking=True)
        for name, words in CONDITIONS.items()
    ],
    name="battery_gate",
)
def battery_gate(settings: dg.ResourceParam[Settings]) -> Iterator[dg.AssetCheckResult]:
    """Each condition with what was asked and what was found."""
    with told_apart():
        verdicts = load_candidate(settings, "battery").verdicts()
    for verdict in verdicts:
        yield dg.AssetCheckResult(
            asset_key=BATTERY_EVALUATION,
            check_name=verdict.name,
            passed=verdict.passed,
            description=verdict.sentence,
        )


GATE_CHECKS: Final = [battery_gate]
