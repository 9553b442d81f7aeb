"""The model registry: plain files, checked whenever they are read.

    FOLDER/<component>/<utc>-<sha>/   one model, never changed after it was saved
    FOLDER/<component>/champion.json  which of them scores

A model's id carries the first digits of the hash of its list of hashes, and the pointer carries the whole
of it. To roll back is to promote an earlier model. The checks find accidents and careless edits; whoever
can write the whole folder can also write hashes, so its permissions are what keeps strangers out.
"""

import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, NewType

from ml.errors import TamperedModelError, UnknownModelError
from ml.fitted import FittedModel
from ml.model_files import fingerprint, read_files, write_files
from ml.training import Candidate
from telematics.clock import Clock, rfc3339_ms, utc_now

ModelId = NewType("ModelId", str)

POINTER: Final = "champion.json"
ID_DIGITS: Final = 12
UNFINISHED: Final = ".unfinished-"
"""Prefix of folders that a save has not completed; they are no models."""


@dataclass(frozen=True, slots=True)
class Champion:
    """The pointer's content.

    Attributes:
        component: what fails.
        model_id: the model that scores.
        files_sha256: of its list of hashes.
        promoted_at: RFC 3339.
        previous: the model before, for a rollback; None for the first.
    """

    component: str
    model_id: ModelId
    files_sha256: str
    promoted_at: str
    previous: ModelId | None


class Registry:
    """Models under one folder.

    Args:
        folder: made when the first model is saved.
        clock: stamps ids and promotions.
    """

    def __init__(self, folder: Path, *, clock: Clock = utc_now) -> None:
        self.folder = folder
        self._clock = clock

    def save(self, candidate: Candidate) -> ModelId:
        """Store a model and return its id; it scores nothing before it is promoted.

        1. everything is written into an unfinished folder, 2. that is renamed to the id in one step.
        """
        parent = self.folder / candidate.model.component
        parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=parent))
        try:
            write_files(unfinished, candidate)
            stamp = self._clock().strftime("%Y%m%dT%H%M%SZ")
            model_id = ModelId(f"{stamp}-{fingerprint(unfinished)[:ID_DIGITS]}")
            unfinished.chmod(0o755)
            unfinished.rename(parent / model_id)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        return model_id

    def load(self, component: str, model_id: str | None = None) -> FittedModel:
        """A model after all checks (`ml.model_files.read_files`): the champion unless one is named.

        Raises:
            UnknownModelError: no such model, or none promoted.
            TamperedModelError: it is not as it was saved.
        """
        expected = None
        if model_id is None:
            champion = self.champion(component)
            model_id, expected = champion.model_id, champion.files_sha256
        folder = self._folder_of(component, model_id)
        found = fingerprint(folder)
        if not model_id.endswith(f"-{found[:ID_DIGITS]}") or (expected and found != expected):
            message = (
                f"the list of hashes of model {model_id} was changed after it was saved: "
                "do not use it; promote another model or train again"
            )
            raise TamperedModelError(message)
        model = read_files(folder, model_id)
        if model.component != component:
            message = f"model {model_id} is for {model.component}, not for {component}: promote another"
            raise TamperedModelError(message)
        return model

    def promote(self, component: str, model_id: str) -> Champion:
        """Make a stored model the one that scores; also how to roll back.

        The model is loaded with all its checks first. The pointer is replaced in one step: a reader sees
        the old or the new one, never a part.

        Raises:
            UnknownModelError: no such model.
            TamperedModelError: it is not as it was saved.
        """
        self.load(component, model_id)
        previous = self._maybe_champion(component)
        if previous is not None and previous.model_id == model_id:
            return previous  # a repeated step must not lose the way back to the model before
        champion = Champion(
            component=component,
            model_id=ModelId(model_id),
            files_sha256=fingerprint(self._folder_of(component, model_id)),
            promoted_at=rfc3339_ms(self._clock()),
            previous=previous.model_id if previous else None,
        )
        pointer = self.folder / component / POINTER
        handle, name = tempfile.mkstemp(prefix=UNFINISHED, dir=pointer.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(asdict(champion), file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(pointer)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        return champion

    def champion(self, component: str) -> Champion:
        """Which model scores.

        Raises:
            UnknownModelError: none has been promoted.
            TamperedModelError: the pointer cannot be read.
        """
        champion = self._maybe_champion(component)
        if champion is None:
            message = f"no {component} model has been promoted: run Dagster's training_job first"
            raise UnknownModelError(message)
        return champion

    def models(self, component: str) -> tuple[ModelId, ...]:
        """The ids of all stored models, the oldest first."""
        parent = self.folder / component
        if not parent.is_dir():
            return ()
        names = sorted(path.name for path in parent.iterdir() if path.is_dir())
        return tuple(ModelId(name) for name in names if not name.startswith(UNFINISHED))

    def files(self, component: str, model_id: str) -> Path:
        """The folder of a stored model, for its card and metrics.

        Raises:
            UnknownModelError: no such model.
        """
        return self._folder_of(component, model_id)

    def _folder_of(self, component: str, model_id: str) -> Path:
        # looked up in the listing, so that no id can name a folder elsewhere
        if model_id not in self.models(component):
            message = f"no {component} model {model_id} is stored: take one of {self._listing(component)}"
            raise UnknownModelError(message)
        return self.folder / component / model_id

    def _listing(self, component: str) -> str:
        return ", ".join(self.models(component)[-5:]) or "none, as none has been trained"

    def _maybe_champion(self, component: str) -> Champion | None:
        pointer = self.folder / component / POINTER
        if not pointer.is_file():
            return None
        try:
            return Champion(**json.loads(pointer.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            message = f"{POINTER} of {component} cannot be read: promote a model again"
            raise TamperedModelError(message) from error
