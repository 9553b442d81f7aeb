"""Training sets as files, so that one step of a run can hand them to the next and anyone can look at them.

    MODELS/training_sets/battery/current.json
    MODELS/training_sets/battery/20261201T033012Z-3f9a61c0d2b7/
        features.parquet  service_records.parquet  manifest.json

What is stored is what the set was built from. Loading builds it again, a matter of a second, and refuses one
whose content has another hash than the manifest says.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from telematics.clock import Clock, utc_now
from telematics.errors import ConflictError, NotFoundError

if TYPE_CHECKING:
    import pandas as pd

    from ml.dataset import TrainingSet

KEPT_SETS: Final = 3
"""Folders of past training sets that are kept for each component."""
_CURRENT: Final = "current.json"
_MANIFEST: Final = "manifest.json"


@dataclass(frozen=True, slots=True)
class StoredSet:
    """A training set with where it lies and how it came about."""

    folder: Path
    training_set: "TrainingSet"
    origin_choice: str
    """Why these origins, in a sentence."""


@dataclass(frozen=True, slots=True)
class SetManifest:
    """What is needed beside the tables to build the set again."""

    content_hash: str
    data_until: str
    step_days: int
    maturity_days: int
    origin_choice: str


def save_training_set(
    root: Path,
    training_set: "TrainingSet",
    features: "pd.DataFrame",
    service_records: "pd.DataFrame",
    origin_choice: str,
    clock: Clock = utc_now,
) -> StoredSet:
    """Store what a training set was built from, and make it the current one of its component.

    The pointer is replaced last and at once: a reader finds the last set or this one, always whole.

    Args:
        root: folder of all components' training sets.
        training_set: what was built.
        features: the feature rows that it was built from.
        service_records: the records that it was built from.
        origin_choice: why these origins, in a sentence.
        clock: names the folder.
    """
    component = root / training_set.component
    folder = component / f"{clock():%Y%m%dT%H%M%SZ}-{training_set.content_hash[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    features.to_parquet(folder / "features.parquet", compression="zstd", index=False)
    service_records.to_parquet(folder / "service_records.parquet", compression="zstd", index=False)
    manifest = SetManifest(
        training_set.content_hash,
        training_set.data_until.isoformat(),
        training_set.step_days,
        training_set.maturity_days,
        origin_choice,
    )
    _write_json(folder / _MANIFEST, asdict(manifest) | {"trained_on": training_set.trained_on()})
    _write_json(component / _CURRENT, {"folder": folder.name})
    _forget_old(component, folder.name)
    return StoredSet(folder, training_set, origin_choice)


def load_training_set(root: Path, component: str) -> StoredSet:
    """The current training set of a component, built again from its files.

    Raises:
        NotFoundError: none was stored.
        ConflictError: its files are not what was stored.
    """
    import pandas as pd

    from ml.dataset import build_training_set

    pointer = root / component / _CURRENT
    if not pointer.is_file():
        message = f"there is no training set of {component}: materialise models/{component}_training_set"
        raise NotFoundError(message)
    folder = root / component / str(_read_json(pointer).get("folder"))
    noted = _read_json(folder / _MANIFEST)
    training_set = build_training_set(
        pd.read_parquet(folder / "features.parquet"),
        pd.read_parquet(folder / "service_records.parquet"),
        data_until=date.fromisoformat(noted["data_until"]),
        step_days=noted["step_days"],
        maturity_days=noted["maturity_days"],
    )
    if training_set.content_hash != noted["content_hash"]:
        message = (
            f"the training set {folder.name} is not what was stored: its content has the hash "
            f"{training_set.content_hash[:12]}, noted is {noted['content_hash'][:12]}; "
            f"materialise models/{component}_training_set again"
        )
        raise ConflictError(message)
    return StoredSet(folder, training_set, noted["origin_choice"])


def _forget_old(component: Path, current: str) -> None:
    """Remove all but the newest folders; their names begin with the moment."""
    folders = sorted(path for path in component.iterdir() if path.is_dir() and path.name != current)
    for folder in folders[: -(KEPT_SETS - 1)]:
        shutil.rmtree(folder, ignore_errors=True)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    fresh = path.with_name(f".{path.name}.fresh")
    fresh.write_text(json.dumps(content, indent=1) + "\n")
    fresh.replace(path)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        message = f"{path.name} in {path.parent.name} cannot be read ({type(error).__name__}): train again"
        raise ConflictError(message) from error
    if not isinstance(content, dict):
        message = f"{path.name} in {path.parent.name} is not what was stored: train again"
        raise ConflictError(message)
    return content
