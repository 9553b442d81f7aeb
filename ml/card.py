"""A model's card: what it is, from what, how good, and what not to use it for."""

from ml.claims import HIGH_THRESHOLD, MEDIUM_THRESHOLD
from ml.gate import judge
from ml.sufficiency import THRESHOLD
from ml.training import Candidate

SHOWN = (
    ("log_loss_vs_km", "log-loss minus Kaplan–Meier, 90 d"),
    ("log_loss_vs_rule", "log-loss minus crank-voltage rule, 90 d"),
    ("average_precision_vs_rule", "average precision / rule, 90 d"),
    ("oe_ratio", "observed / expected, 90 d"),
    ("oe_ratio_30", "observed / expected, 30 d"),
    ("ece_90", "calibration error, 90 d"),
    ("recall_at_2pct_30", "recall at 2 % alerts, 30 d"),
    ("information_fraction_30", "share of the oracle's information, 30 d"),
    ("information_fraction_90", "share of the oracle's information, 90 d"),
    ("oracle_oe_ratio_90", "the oracle's own observed / expected, 90 d"),
    ("log_loss_calibrated_vs_raw", "log-loss, calibrated minus raw"),
)


def card_text(candidate: Candidate) -> str:
    """The card in Markdown."""
    evaluation, manifest = candidate.evaluation, candidate.data_manifest
    origins = ", ".join(manifest["origins"])
    lines = [
        f"# {evaluation.component.capitalize()} model",
        "",
        "Discrete-time hazard (gradient-boosted trees over person-period rows); survival curve to 365 days.",
        "",
        f"- **Learned from**: {manifest['vehicle_count']} vehicles, {manifest['failure_count']} failures, "
        f"{manifest['landmark_count']} landmarks, {manifest['data_from']} to {manifest['data_until']}, "
        f"origin {origins}, data {manifest['data_hash'][:12]}",
        f"- **Judged on**: {evaluation.row_count} landmarks of {evaluation.vehicle_count} vehicles from "
        f"{evaluation.cutoff} on with {evaluation.failure_count} failures; vehicle and time held out, "
        f"{evaluation.folds} folds, intervals of {evaluation.resamples} resampled fleets",
        f"- **Calibration**: {'none, raw' if evaluation.calibration.is_identity else 'logit-linear'}",
        f"- **Claims**: high from a 30 day risk of {HIGH_THRESHOLD:.3f}, medium from a 90 day risk of "
        f"{MEDIUM_THRESHOLD:.3f}, unknown below a data sufficiency of {THRESHOLD}",
        "",
        "| figure | value | 95 % interval |",
        "|---|---|---|",
    ]
    for name, words in SHOWN:
        figure = evaluation.figures[name]
        lines.append(f"| {words} | {figure.point:.4g} | {figure.low:.4g} to {figure.high:.4g} |")
    lines += ["", "## Gate", ""]
    lines += [f"- {'passed' if v.passed else 'FAILED'}: {v.sentence}" for v in judge(evaluation)]
    lines += ["", "## Limits", ""]
    if manifest["origins"] == ["simulated"]:
        lines.append(
            "- Learned from a simulator only. What it recovers is the simulator's information. Answers for "
            "real vehicles say so (`trained_on`): do not alert on them until at least 100 real confirmed "
            "failures have judged it [A]."
        )
    lines += [
        "- The risk is that of a replacement that reaches the books; unrecorded ones are not in it.",
        "- Nothing is said beyond 365 days.",
        "- Alerts cause replacements: once it alerts, keep part of the fleet without alerts to judge it.",
        "",
    ]
    return "\n".join(lines)
