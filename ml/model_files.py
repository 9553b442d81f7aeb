"""The files of one stored model: what is in them, and the refusal to read what is not as saved.

Models are never pickled. The classifier is a skops file whose types must be on ALLOWED_TYPES, an explicit
list; everything else is JSON, Parquet and Markdown.
"""

import hashlib
import json
import zipfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import sklearn
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier
from skops.io.exceptions import UntrustedTypesFoundException

from ml.calibration import Calibration
from ml.card import card_text
from ml.days import FloatArray
from ml.errors import TamperedModelError
from ml.features import BATTERY_FEATURES, DIRECTIONS, UNITS
from ml.fitted import FittedModel
from ml.gate import judge
from ml.hazard import HazardModel, HazardSettings
from ml.reference import FleetReference
from ml.survival import EDGES
from ml.training import Candidate

MODEL, SCHEMA, METRICS, CARD, DATA, GOLDEN = CONTENTS = (
    "model.skops",
    "schema.json",
    "metrics.json",
    "card.md",
    "data_manifest.json",
    "golden.parquet",
)
"""What a model's folder holds beside the list of hashes."""
HASHES: Final = "files.json"
FORMAT: Final = "piston-model/1"
ALLOWED_TYPES: Final = ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)
"""Types beyond skops' own list that a stored classifier may hold; nothing else is ever trusted."""
GOLDEN_TOLERANCE: Final = 1e-9
ADVICE: Final = "do not use it; promote another model or train again"


def write_files(folder: Path, candidate: Candidate) -> None:
    """Write every file of a model into an empty folder, the hashes last."""
    model = candidate.model
    skops.io.dump(model.hazard.classifier_, folder / MODEL)
    _write_json(folder / SCHEMA, _schema(candidate))
    metrics = candidate.evaluation.as_document()
    metrics["verdicts"] = [asdict(verdict) for verdict in judge(candidate.evaluation)]
    _write_json(folder / METRICS, metrics)
    (folder / CARD).write_text(card_text(candidate), encoding="utf-8")
    _write_json(folder / DATA, candidate.data_manifest)
    curves = model.survival(candidate.golden)
    golden = candidate.golden.assign(**{_curve_column(edge): curves[:, i] for i, edge in enumerate(EDGES)})
    golden.to_parquet(folder / GOLDEN, index=False)
    hashes = {name: _hash_of(folder / name) for name in CONTENTS}
    _write_json(folder / HASHES, {"format": FORMAT, "sha256": hashes})


def fingerprint(folder: Path) -> str:
    """SHA-256 of the list of hashes, hence of everything in the folder.

    Raises:
        TamperedModelError: there is no list.
    """
    path = folder / HASHES
    if not path.is_file():
        message = f"model {folder.name} has no {HASHES}: {ADVICE}"
        raise TamperedModelError(message)
    return _hash_of(path)


def read_files(folder: Path, model_id: str) -> FittedModel:
    """The model, after every check: hashes, names, versions, types, golden rows.

    Raises:
        TamperedModelError: something is not as it was saved, or was saved by other versions.
    """
    _check_hashes(folder, model_id)
    schema = _read_json(folder / SCHEMA, model_id)
    _check_schema(schema, model_id)
    hazard = HazardModel(
        HazardSettings(**schema["settings"]),
        features=tuple(schema["features"]),
        edges=tuple(schema["edges"]),
        directions=schema["directions"],
        is_seasonal=schema["is_seasonal"],
        random_state=schema["seed"],
    )
    hazard.offsets_ = np.asarray(schema["offsets"], dtype=np.float64)
    hazard.classifier_ = _read_classifier(folder / MODEL, model_id, len(hazard.covariate_names))
    model = FittedModel(
        component=schema["component"],
        model_id=model_id,
        hazard=hazard,
        calibration=Calibration(**schema["calibration"]),
        reference=FleetReference.from_document(schema["reference"]),
        trained_on=schema["trained_on"],
    )
    _replay(folder / GOLDEN, model)
    return model


def _schema(candidate: Candidate) -> dict[str, Any]:
    model = candidate.model
    return {
        "format": FORMAT,
        "component": model.component,
        "features": list(model.hazard.features),
        "units": {name: UNITS[name] for name in model.hazard.features},
        "directions": {name: DIRECTIONS[name] for name in model.hazard.features},
        "edges": list(model.hazard.edges),
        "is_seasonal": model.hazard.is_seasonal,
        "settings": asdict(model.hazard.settings),
        "offsets": model.hazard.offsets_.tolist(),
        "seed": candidate.seed,
        "calibration": asdict(model.calibration),
        "reference": model.reference.as_document(),
        "trained_on": model.trained_on,
        "versions": _versions(),
    }


def _versions() -> dict[str, str]:
    return {"scikit-learn": sklearn.__version__, "skops": skops.__version__, "numpy": np.__version__}


def _check_hashes(folder: Path, model_id: str) -> None:
    saved = _read_json(folder / HASHES, model_id).get("sha256", {})
    present = {path.name for path in folder.iterdir()} - {HASHES}
    if present != set(CONTENTS) or set(saved) != set(CONTENTS):
        odd = sorted((present | set(saved)) ^ set(CONTENTS)) or sorted(set(CONTENTS) - present)
        message = f"model {model_id} lacks files or has others than were saved ({', '.join(odd)}): {ADVICE}"
        raise TamperedModelError(message)
    for name in CONTENTS:
        if _hash_of(folder / name) != saved[name]:
            message = f"{name} of model {model_id} was changed after it was saved: {ADVICE}"
            raise TamperedModelError(message)


def _check_schema(schema: dict[str, Any], model_id: str) -> None:
    expected = {"format": FORMAT, "features": list(BATTERY_FEATURES), "edges": list(EDGES)}
    for name, value in expected.items():
        if schema.get(name) != value:
            message = f"model {model_id} was saved with another {name} than this release has: train again"
            raise TamperedModelError(message)
    known = {field.name for field in fields(HazardSettings)}
    if set(schema["settings"]) != known:
        message = f"model {model_id} was saved with other settings than this release has: train again"
        raise TamperedModelError(message)
    saved = schema["versions"].get("scikit-learn")
    if saved != sklearn.__version__:
        message = (
            f"model {model_id} was saved by scikit-learn {saved} and this is {sklearn.__version__}: "
            "stored trees are not portable between versions; train again"
        )
        raise TamperedModelError(message)


def _read_classifier(path: Path, model_id: str, width: int) -> HistGradientBoostingClassifier:
    try:
        found = skops.io.get_untrusted_types(file=path)
        unexpected = sorted(set(found) - set(ALLOWED_TYPES))
        classifier = None if unexpected else skops.io.load(path, trusted=list(ALLOWED_TYPES))
    except (UntrustedTypesFoundException, zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        message = f"{MODEL} of model {model_id} is no readable skops file: {ADVICE}"
        raise TamperedModelError(message) from error
    if unexpected:
        odd = ", ".join(unexpected)
        message = f"{MODEL} of model {model_id} holds types that are not allowed ({odd}): {ADVICE}"
        raise TamperedModelError(message)
    if type(classifier) is not HistGradientBoostingClassifier or classifier.n_features_in_ != width:
        message = f"{MODEL} of model {model_id} holds another kind of model than was expected: {ADVICE}"
        raise TamperedModelError(message)
    return classifier


def _replay(path: Path, model: FittedModel) -> None:
    golden = pd.read_parquet(path)
    saved = golden[[_curve_column(edge) for edge in EDGES]].to_numpy(dtype=np.float64)
    answered: FloatArray = model.survival(golden)
    distance = float(np.abs(answered - saved).max()) if len(golden) else 0.0
    if not distance <= GOLDEN_TOLERANCE:
        message = (
            f"model {model.model_id} answers its {len(golden)} golden rows differently than when it was "
            f"saved (by {distance:.2g}): {ADVICE}"
        )
        raise TamperedModelError(message)


def _curve_column(edge: int) -> str:
    return f"survival_{edge}d"


def _hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, allow_nan=False, default=_plain) + "\n", encoding="utf-8")


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    message = f"{type(value).__name__} has no place in JSON"
    raise TypeError(message)


def _read_json(path: Path, model_id: str) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{path.name} of model {model_id} is missing or no JSON: {ADVICE}"
        raise TamperedModelError(message) from error
    if not isinstance(document, dict):
        message = f"{path.name} of model {model_id} is no JSON object: {ADVICE}"
        raise TamperedModelError(message)
    return document
