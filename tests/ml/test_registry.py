"""The registry gives back what was saved, or refuses with a sentence."""

import hashlib
import json
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.naive_bayes import GaussianNB

from ml.errors import TamperedModelError, UnknownModelError
from ml.features import check_frame
from ml.model_files import CONTENTS, HASHES
from ml.registry import POINTER, ModelId, Registry
from ml.training import Candidate
from tests.ml.fleet import make_rows

NOW = datetime(2026, 11, 26, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models", clock=lambda: NOW)


@pytest.fixture
def stored(registry: Registry, candidate: Candidate) -> ModelId:
    return registry.save(candidate)


def rehash(folder: Path) -> str:
    """What someone with write access could do: new hashes for changed files; the id no longer fits."""
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in CONTENTS}
    document = json.loads((folder / HASHES).read_text()) | {"sha256": hashes}
    (folder / HASHES).write_text(json.dumps(document, indent=1) + "\n")
    digits = hashlib.sha256((folder / HASHES).read_bytes()).hexdigest()[:12]
    renamed = folder.with_name(f"{folder.name.split('-')[0]}-{digits}")
    folder.rename(renamed)
    return renamed.name


def test_a_stored_model_answers_as_it_did(registry: Registry, stored: ModelId, candidate: Candidate) -> None:
    rows = check_frame(make_rows(50, crank_mean_v_28d=np.linspace(9, 11, 50)))
    loaded = registry.load("battery", stored)
    assert np.array_equal(loaded.survival(rows), candidate.model.survival(rows))
    assert loaded.model_id == stored
    assert loaded.trained_on == candidate.model.trained_on
    assert np.array_equal(loaded.reference.quantiles, candidate.model.reference.quantiles, equal_nan=True)


def test_a_model_is_plain_files_without_vehicles(registry: Registry, stored: ModelId) -> None:
    assert stored.startswith("20261126T030405Z-")
    folder = registry.files("battery", stored)
    assert {path.name for path in folder.iterdir()} == {*CONTENTS, HASHES}
    assert "SYN01" not in "".join(
        path.read_text() for path in folder.iterdir() if path.suffix in (".json", ".md")
    )
    assert "vin" not in pd.read_parquet(folder / "golden.parquet").columns
    card = (folder / "card.md").read_text()
    assert "simulator only" in card
    assert "observed / expected" in card


@pytest.mark.parametrize("name", [*CONTENTS, HASHES])
def test_a_changed_file_is_refused(registry: Registry, stored: ModelId, name: str) -> None:
    path = registry.files("battery", stored) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(TamperedModelError, match=r"changed after it was saved|no JSON"):
        registry.load("battery", stored)


@pytest.mark.parametrize("name", [*CONTENTS, HASHES])
def test_a_missing_file_is_refused(registry: Registry, stored: ModelId, name: str) -> None:
    (registry.files("battery", stored) / name).unlink()
    with pytest.raises(TamperedModelError, match=r"lacks files|has no files\.json"):
        registry.load("battery", stored)


def test_a_file_that_does_not_belong_is_refused(registry: Registry, stored: ModelId) -> None:
    (registry.files("battery", stored) / "extra.py").write_text("print('hello')")
    with pytest.raises(TamperedModelError, match=r"extra\.py"):
        registry.load("battery", stored)


def test_types_off_the_list_are_refused_even_with_fitting_hashes(registry: Registry, stored: ModelId) -> None:
    X, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    folder = registry.files("battery", stored)
    calibrated = CalibratedClassifierCV(GaussianNB(), cv=2).fit(X, y)
    skops.io.dump(calibrated, folder / "model.skops")
    with pytest.raises(TamperedModelError, match=r"not allowed .*_CalibratedClassifier"):
        registry.load("battery", rehash(folder))


def test_another_kind_of_model_is_refused_although_its_types_are_harmless(
    registry: Registry, stored: ModelId
) -> None:
    X, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) % 2
    folder = registry.files("battery", stored)
    skops.io.dump(HistGradientBoostingRegressor(max_iter=2).fit(X, y), folder / "model.skops")
    with pytest.raises(TamperedModelError, match="another kind of model"):
        registry.load("battery", rehash(folder))


def test_what_is_no_skops_file_is_refused(registry: Registry, stored: ModelId) -> None:
    folder = registry.files("battery", stored)
    (folder / "model.skops").write_bytes(b"\x80\x04]\x94.")  # a pickle
    with pytest.raises(TamperedModelError, match="no readable skops file"):
        registry.load("battery", rehash(folder))


def test_a_model_that_answers_differently_is_refused(registry: Registry, stored: ModelId) -> None:
    folder = registry.files("battery", stored)
    golden = pd.read_parquet(folder / "golden.parquet")
    golden.loc[0, "survival_90d"] += 1e-6
    golden.to_parquet(folder / "golden.parquet", index=False)
    with pytest.raises(TamperedModelError, match="golden rows differently"):
        registry.load("battery", rehash(folder))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"versions": {"scikit-learn": "1.0.2"}}, "scikit-learn 1.0.2"),
        ({"features": ["crank_min_v_7d"]}, "another features"),
        ({"edges": [0, 30]}, "another edges"),
        ({"settings": {"max_iter": 3}}, "other settings"),
        ({"component": "brakes"}, "is for brakes"),
        ({"offsets": [0.1] * 8}, "golden rows differently"),
        ({"calibration": {"slope": 2.0, "intercept": 0.0}}, "golden rows differently"),
    ],
)
def test_a_model_of_another_release_is_refused(
    registry: Registry, stored: ModelId, change: dict[str, object], words: str
) -> None:
    folder = registry.files("battery", stored)
    schema = json.loads((folder / "schema.json").read_text()) | change
    (folder / "schema.json").write_text(json.dumps(schema))
    with pytest.raises(TamperedModelError, match=words):
        registry.load("battery", rehash(folder))


def test_no_model_scores_before_it_is_promoted(registry: Registry, stored: ModelId) -> None:
    with pytest.raises(UnknownModelError, match="no battery model has been promoted"):
        registry.load("battery")
    registry.promote("battery", stored)
    assert registry.load("battery").model_id == stored


def test_a_rollback_is_a_promotion_of_the_model_before(registry: Registry, candidate: Candidate) -> None:
    first = registry.save(candidate)
    second = registry.save(replace(candidate, seed=1))
    registry.promote("battery", first)
    assert registry.promote("battery", second).previous == first
    assert registry.promote("battery", second).previous == first, "a repeated step keeps the way back"
    back = registry.promote("battery", first)
    assert (back.model_id, back.previous) == (first, second)
    assert registry.champion("battery") == back
    assert set(registry.models("battery")) == {first, second}


def test_a_tampered_model_is_not_promoted(registry: Registry, stored: ModelId) -> None:
    (registry.files("battery", stored) / "card.md").write_text("the best model ever")
    with pytest.raises(TamperedModelError):
        registry.promote("battery", stored)
    assert not (registry.folder / "battery" / POINTER).exists()


def test_the_pointer_vouches_for_the_whole_list_of_hashes(registry: Registry, stored: ModelId) -> None:
    champion = registry.promote("battery", stored)
    pointer = registry.folder / "battery" / POINTER
    forged = champion.files_sha256[:12] + "0" * 52
    pointer.write_text(json.dumps(json.loads(pointer.read_text()) | {"files_sha256": forged}))
    with pytest.raises(TamperedModelError, match="list of hashes"):
        registry.load("battery")


def test_a_broken_pointer_says_what_to_do(registry: Registry, stored: ModelId) -> None:
    registry.promote("battery", stored)
    (registry.folder / "battery" / POINTER).write_text('{"model_id": ')
    with pytest.raises(TamperedModelError, match="promote a model again"):
        registry.champion("battery")


@pytest.mark.parametrize("name", ["../battery", "/etc", "", "20261126T030405Z-000000000000", POINTER])
def test_an_id_that_names_no_model_is_unknown(registry: Registry, stored: ModelId, name: str) -> None:
    with pytest.raises(UnknownModelError, match="take one of"):
        registry.load("battery", name)


def test_a_save_that_failed_leaves_nothing(registry: Registry, candidate: Candidate) -> None:
    with pytest.raises(TypeError):
        registry.save(replace(candidate, golden=None))  # type: ignore[arg-type]
    assert registry.models("battery") == ()
    assert list((registry.folder / "battery").iterdir()) == []


def test_a_reader_never_sees_a_part_of_the_pointer(registry: Registry, candidate: Candidate) -> None:
    models = [registry.save(candidate), registry.save(replace(candidate, seed=1))]
    registry.promote("battery", models[0])
    seen, done = [], threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(registry.champion("battery").model_id)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for turn in range(10):
            registry.promote("battery", models[turn % 2])
    finally:
        done.set()
        reader.join()
    assert set(seen) <= set(models)
    assert [path.name for path in (registry.folder / "battery").iterdir() if path.is_file()] == [POINTER]
