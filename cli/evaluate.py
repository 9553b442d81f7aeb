"""Command `piston evaluate`: how good a component's model is on vehicles and days that it never saw."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ml.bootstrap import Figure
    from ml.dataset import TrainingSet
    from ml.evaluation import Evaluation
    from telematics.settings import Settings

NO_ORACLE = (
    "without the simulator's truth the information fractions are not known: name a folder that "
    "`piston simulate fleet --out` wrote with --oracle"
)
OTHER_ORACLE = (
    "the folder named with --oracle is not one that was loaded: if its cars are others under the same VINs, "
    "the figures beside the oracle's mean nothing"
)
HEADLINES = (
    "log_loss_vs_km",
    "log_loss_vs_rule",
    "average_precision_vs_rule",
    "oe_ratio",
    "information_fraction_30",
    "information_fraction_90",
)
"""What is shown first; the names stand in the project's targets."""
_OF_THE_ORACLE = ("oracle_", "true_")
"""Figures that only the simulator's truth yields: the oracle's own, and the model's against true failures."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(evaluate)


def evaluate(
    component: Annotated[str, typer.Option(help="What fails; battery is the one there is.")] = "battery",
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
    oracle: Annotated[
        Path | None,
        typer.Option(help="Folder of a simulated history; default the folders of completed backfills."),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="live, recorded or simulated; repeat to mix. Default as in training."),
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=20, max=10_000, help="How often the vehicles are drawn for the intervals.")
    ] = 500,
) -> None:
    """Judge the model of a component again, on the warehouse's history.

    One model per quarter of the vehicles is trained on the others' past and judged on that quarter's later
    days, beside a survival curve for all vehicles and the workshop's crank-voltage rule. Intervals (95 %)
    come from drawing vehicles. Nothing is stored: training, gate and promotion are Dagster's training_job.
    """
    from orchestration.home import WAIT_POLICY

    os.environ.setdefault("OMP_WAIT_POLICY", WAIT_POLICY)  # before the models' libraries are loaded

    from ml.evaluation import evaluate as judge_model
    from orchestration import learning
    from orchestration.training import SEED
    from telematics.settings import load_settings

    learning.refuse_unknown_component(component)
    settings = load_settings()
    folders = learning.oracle_folders(settings, oracle)
    _progress(f"reading the history of the {component}")
    history = learning.read_history(settings, component, origin or ())
    training_set = history.build()
    _progress(f"judging on {training_set.vehicle_count:,} vehicles; {history.choice.reason}")
    truth = learning.read_oracle(folders, set(training_set.landmarks["vin"]))
    evaluation = judge_model(training_set, oracle=truth, seed=SEED, resamples=resamples)
    document = build_document(evaluation, training_set, champion_id(settings, component))
    document["notes"] = [f"learnt from {history.choice.reason}"]
    if truth is None:
        document["notes"].append(NO_ORACLE)
    elif oracle is not None and not learning.is_loaded(settings, oracle):
        document["notes"].append(OTHER_ORACLE)
    if as_json:
        print(json.dumps(document, allow_nan=False))
    else:
        _show(document)


def build_document(
    evaluation: "Evaluation", training_set: "TrainingSet", model_id: str | None
) -> dict[str, Any]:
    """What `--json` prints; what does not exist is null."""
    from ml.gate import judge

    own: dict[str, Figure] = {}
    of_oracle: dict[str, Figure] = {}
    for name, figure in evaluation.figures.items():
        (of_oracle if name.startswith(_OF_THE_ORACLE) else own)[name] = figure
    return {
        "component": evaluation.component,
        "figures": {name: _number(figure.point) for name, figure in own.items()},
        "intervals": {name: _interval(figure) for name, figure in evaluation.figures.items()},
        "oracle": {name: _number(figure.point) for name, figure in of_oracle.items()},
        "counts": {
            "landmarks": training_set.landmark_count,
            "vehicles": training_set.vehicle_count,
            "failures": training_set.failure_count,
            "judged_landmarks": evaluation.row_count,
            "judged_vehicles": evaluation.vehicle_count,
            "judged_failures": evaluation.failure_count,
            **training_set.left_out,
            **evaluation.left_out,
        },
        "gate": [
            {"name": verdict.name, "passed": verdict.passed, "sentence": verdict.sentence}
            for verdict in judge(evaluation)
        ],
        "judged_from": evaluation.cutoff.isoformat(),
        "resamples": evaluation.resamples,
        "seed": evaluation.seed,
        "model_id": model_id,
        "trained_on": training_set.trained_on(),
        "notes": [],
    }


def champion_id(settings: "Settings", component: str) -> str | None:
    """The model that scores now; None before the first promotion."""
    from ml.errors import UnknownModelError
    from ml.registry import Registry
    from orchestration.training import registry_folder

    try:
        return Registry(registry_folder(settings)).champion(component).model_id
    except UnknownModelError:
        return None


def _number(value: float) -> float | None:
    return value if value == value else None  # a NaN is not itself, and no JSON


def _interval(figure: "Figure") -> list[float | None] | None:
    low, high = _number(figure.low), _number(figure.high)
    return None if low is None and high is None else [low, high]


def _progress(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _show(document: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    counts, figures, truth = document["counts"], document["figures"], document["oracle"]
    others = [name for name in figures if name not in HEADLINES]
    table = Table("figure")
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="right")
    for names in (HEADLINES, others, list(truth)):
        for name in names:
            interval = document["intervals"].get(name)
            shown = "" if interval is None else f"{_shown(interval[0])} … {_shown(interval[1])}"
            table.add_row(name, _shown(figures.get(name, truth.get(name))), shown)
        table.add_section()
    console = Console(highlight=False, soft_wrap=True)
    console.print(
        f"{document['component']}: {counts['judged_failures']:,} failures of {counts['judged_vehicles']:,} "
        f"held-out vehicles, judged from {document['judged_from']}"
    )
    console.print(table)
    for verdict in document["gate"]:
        console.print(f"{'passed' if verdict['passed'] else 'FAILED'}: {verdict['sentence']}", markup=False)
    for note in document["notes"]:
        console.print(f"note: {note}", markup=False)
    console.print(f"model that scores now: {document['model_id'] or 'none'}", markup=False)


def _shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
