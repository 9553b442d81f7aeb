"""The present candidate of a component: its evaluation and its place in the registry, handed on as a file.

    MODELS/candidates/battery.json

Evaluation, gate and promotion are steps of their own, so that a refused candidate still shows its figures.
Each reads this file; none trains again.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from telematics.errors import ConflictError, NotFoundError
from telematics.settings import Settings

if TYPE_CHECKING:
    from ml.evaluation import Evaluation
    from ml.gate import Verdict

NAN: Final = float("nan")
_FOLDER: Final = "candidates"
_TABLES: Final = ("reliability", "lift", "survival", "slices")


@dataclass(frozen=True, slots=True)
class StoredCandidate:
    """A trained model that may become the champion.

    Attributes:
        model_id: its id in the registry.
        evaluation: how good models trained like it were on held-out vehicles and later days.
        trained_on: what every prediction of it says of its data.
    """

    model_id: str
    evaluation: "Evaluation"
    trained_on: Mapping[str, Any]

    def verdicts(self) -> "tuple[Verdict, ...]":
        """The gate's verdicts, judged anew from the figures."""
        from ml.gate import judge

        return judge(self.evaluation)


def candidate_path(settings: Settings, component: str) -> Path:
    """Where the present candidate of a component is noted."""
    return settings.models / _FOLDER / f"{component}.json"


def save_candidate(settings: Settings, candidate: StoredCandidate) -> Path:
    """Make a candidate the present one of its component; replaced at once."""
    path = candidate_path(settings, candidate.evaluation.component)
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "model_id": candidate.model_id,
        "trained_on": dict(candidate.trained_on),
        "evaluation": candidate.evaluation.as_document(),
    }
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
    fresh.replace(path)
    return path


def load_candidate(settings: Settings, component: str) -> StoredCandidate:
    """The present candidate of a component.

    Raises:
        NotFoundError: there is none.
        ConflictError: the file is not what `save_candidate` writes.
    """
    path = candidate_path(settings, component)
    if not path.is_file():
        message = f"there is no candidate for {component}: run training_job, or models/{component}_candidate"
        raise NotFoundError(message)
    try:
        document = json.loads(path.read_text())
        return StoredCandidate(
            document["model_id"], read_evaluation(document["evaluation"]), document["trained_on"]
        )
    except (KeyError, TypeError, ValueError) as error:
        message = f"the candidate noted in {path.name} cannot be read ({type(error).__name__}): train again"
        raise ConflictError(message) from error


def read_evaluation(document: Mapping[str, Any]) -> "Evaluation":
    """The evaluation of a document that `Evaluation.as_document` made; null becomes NaN again.

    Raises:
        KeyError: the document lacks a part.
        TypeError: a part has fields that this release does not know.
        ValueError: a date or a number is none.
    """
    from ml.bootstrap import Figure
    from ml.calibration import Calibration
    from ml.evaluation import Evaluation
    from ml.hazard import HazardSettings

    parts = dict(document)
    parts |= {name: date.fromisoformat(parts[name]) for name in ("cutoff", "data_until")}
    parts |= {name: _table(parts[name]) for name in _TABLES}
    parts["settings"] = HazardSettings(**parts["settings"])
    parts["calibration"] = Calibration(**parts["calibration"])
    parts["figures"] = {
        name: Figure(**{key: NAN if value is None else float(value) for key, value in figure.items()})
        for name, figure in parts["figures"].items()
    }
    return Evaluation(**parts)


def _table(rows: Sequence[Mapping[str, Any]]) -> Any:
    """A table of plain values; a column of numbers with nulls is one of numbers with NaN."""
    import pandas as pd

    frame = pd.DataFrame(list(rows))
    for name in frame.columns[frame.isna().any()]:
        frame[name] = pd.to_numeric(frame[name])
    return frame
