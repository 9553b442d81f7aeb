"""From the warehouse's history to a champion, in three steps that hand on files; no Dagster in here."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestration import candidates, learning, training_store
from orchestration.candidates import StoredCandidate
from orchestration.errors import RefusedCandidateError
from orchestration.training_store import StoredSet
from telematics.settings import Settings

if TYPE_CHECKING:
    from ml.registry import Champion

SEED: Final = 4
"""Of folds, models and resamples: the same history gives the same figures."""

_REGISTRY: Final = "registry"
_TRAINING_SETS: Final = "training_sets"


def registry_folder(settings: Settings) -> Path:
    """Where the registry of models lies."""
    return settings.models / _REGISTRY


def training_sets_folder(settings: Settings) -> Path:
    """Where training sets lie."""
    return settings.models / _TRAINING_SETS


def store_training_set(settings: Settings, component: str, asked: Sequence[str] = ()) -> StoredSet:
    """Build the component's training set from the warehouse and store it.

    Args:
        settings: of the warehouse and the models folder.
        component: what fails.
        asked: origins to learn from; none lets `learning.choose_origins` decide.

    Raises:
        ConfigurationError: unknown component or origin, or the history holds too little.
        NotFoundError: there are no features yet.
        UnavailableError: ClickHouse does not answer.
    """
    history = learning.read_history(settings, component, asked)
    return training_store.save_training_set(
        training_sets_folder(settings),
        history.build(),
        history.features,
        history.service_records,
        history.choice.reason,
    )


def train_candidate(
    settings: Settings,
    component: str,
    *,
    oracles: Sequence[Path] = (),
    resamples: int,
    seed: int = SEED,
) -> StoredCandidate:
    """Judge and train a model on the stored training set; save it in the registry as the candidate.

    Args:
        settings: of the models folder.
        component: what fails.
        oracles: folders with the simulator's truth, if there are any (`learning.oracle_folders`).
        resamples: of the vehicles, for the intervals.
        seed: of folds, model and resamples.

    Raises:
        NotFoundError: no training set was stored.
        ConflictError: the stored training set was changed.
        ConfigurationError: there is too little to learn from or to judge by.
    """
    from ml.evaluation import evaluate
    from ml.registry import Registry
    from ml.training import train

    stored = training_store.load_training_set(training_sets_folder(settings), component)
    training_set = stored.training_set
    oracle = learning.read_oracle(oracles, set(training_set.landmarks["vin"]))
    evaluation = evaluate(training_set, oracle=oracle, seed=seed, resamples=resamples)
    model_id = Registry(registry_folder(settings)).save(train(training_set, evaluation, seed=seed))
    candidate = StoredCandidate(str(model_id), evaluation, training_set.trained_on())
    candidates.save_candidate(settings, candidate)
    return candidate


def promote_candidate(settings: Settings, component: str) -> "Champion":
    """Make the candidate the champion, if it passes the gate.

    The gate is asked here again: whoever materialises the champion alone must not get around it.

    Raises:
        NotFoundError: there is no candidate, or its model is gone.
        RefusedCandidateError: a condition does not hold; the message has its sentence.
        TamperedModelError: the candidate's files are not what was saved.
    """
    from ml.registry import Registry

    candidate = candidates.load_candidate(settings, component)
    failed = [verdict.sentence for verdict in candidate.verdicts() if not verdict.passed]
    if failed:
        message = f"{candidate.model_id} is not promoted: {'; '.join(failed)}"
        raise RefusedCandidateError(message)
    return Registry(registry_folder(settings)).promote(component, candidate.model_id)
