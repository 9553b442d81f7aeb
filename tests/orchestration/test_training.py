"""From a stored training set to a champion, on files alone."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ml.dataset import build_training_set
from ml.errors import TamperedModelError
from ml.registry import Registry
from orchestration.candidates import StoredCandidate, load_candidate, save_candidate
from orchestration.errors import RefusedCandidateError
from orchestration.training import (
    promote_candidate,
    registry_folder,
    train_candidate,
    training_sets_folder,
)
from orchestration.training_assets import training_set_metadata
from orchestration.training_store import StoredSet, save_training_set
from telematics.errors import NotFoundError
from telematics.settings import Settings
from tests.ml.fleet import make_fleet
from tests.orchestration.candidate_making import make_evaluation


@dataclass(frozen=True)
class Trained:
    settings: Settings
    stored: StoredSet
    candidate: StoredCandidate


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A training on a fleet that is too small for the gate."""
    settings = Settings(environment="test", models_dir=tmp_path_factory.mktemp("models"))
    fleet = make_fleet(60, 700)
    training_set = build_training_set(fleet.features, fleet.records, data_until=fleet.data_until)
    stored = save_training_set(
        training_sets_folder(settings), training_set, fleet.features, fleet.records, "as asked for"
    )
    return Trained(settings, stored, train_candidate(settings, "battery", resamples=20))


@pytest.fixture
def passing(trained: Trained) -> Trained:
    """The same model, with figures that pass."""
    candidate = replace(trained.candidate, evaluation=make_evaluation())
    save_candidate(trained.settings, candidate)
    return replace(trained, candidate=candidate)


def test_a_training_leaves_a_candidate_and_no_champion(trained: Trained):
    registry = Registry(registry_folder(trained.settings))
    assert trained.candidate.model_id in registry.models("battery")
    assert registry.load("battery", trained.candidate.model_id).trained_on == trained.candidate.trained_on
    assert trained.candidate.evaluation.data_hash == trained.stored.training_set.content_hash


def test_what_the_gate_refuses_is_not_promoted_and_the_sentence_says_why(trained: Trained):
    save_candidate(trained.settings, trained.candidate)
    with pytest.raises(RefusedCandidateError, match=r"is not promoted: .*held-out failures"):
        promote_candidate(trained.settings, "battery")


def test_what_passes_becomes_the_champion_and_promoting_it_again_changes_nothing(passing: Trained):
    first = promote_candidate(passing.settings, "battery")
    assert first.model_id == passing.candidate.model_id
    assert Registry(registry_folder(passing.settings)).champion("battery") == first
    assert promote_candidate(passing.settings, "battery") == first


def test_a_tampered_candidate_is_not_promoted(passing: Trained):
    model = registry_folder(passing.settings) / "battery" / passing.candidate.model_id / "model.skops"
    kept = model.read_bytes()
    model.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    try:
        with pytest.raises(TamperedModelError, match=r"model\.skops"):
            promote_candidate(passing.settings, "battery")
    finally:
        model.write_bytes(kept)


def test_without_a_training_set_there_is_nothing_to_train_on(tmp_path: Path):
    settings = Settings(environment="test", models_dir=tmp_path)
    with pytest.raises(NotFoundError, match="no training set of battery"):
        train_candidate(settings, "battery", resamples=20)
    with pytest.raises(NotFoundError, match="no candidate for battery"):
        load_candidate(settings, "battery")


def test_the_metadata_says_whose_history_it_was_and_what_was_left_out(trained: Trained):
    metadata = {name: value.value for name, value in training_set_metadata(trained.stored).items()}
    assert metadata["trained_on"] == "as asked for"
    assert metadata["data_hash"] == trained.stored.training_set.content_hash
    assert metadata["left_out"] == trained.stored.training_set.left_out
