from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from ml.dataset import build_training_set
from orchestration.training_store import KEPT_SETS, StoredSet, load_training_set, save_training_set
from telematics.errors import ConflictError, NotFoundError
from tests.ml.fleet import Fleet, make_fleet

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return make_fleet(40, 400)


def save(root: Path, fleet: Fleet, moment: datetime = NOON) -> StoredSet:
    training_set = build_training_set(fleet.features, fleet.records, data_until=fleet.data_until)
    return save_training_set(root, training_set, fleet.features, fleet.records, "as asked", lambda: moment)


def test_a_set_is_built_again_as_it_was(tmp_path: Path, fleet: Fleet):
    saved = save(tmp_path, fleet)
    loaded = load_training_set(tmp_path, "battery")
    assert loaded.folder == saved.folder
    assert loaded.origin_choice == "as asked"
    assert loaded.training_set.content_hash == saved.training_set.content_hash
    pd.testing.assert_frame_equal(loaded.training_set.landmarks, saved.training_set.landmarks)


def test_a_changed_file_is_refused(tmp_path: Path, fleet: Fleet):
    folder = save(tmp_path, fleet).folder
    features = pd.read_parquet(folder / "features.parquet")
    features["crank_min_v_28d"] += 0.1
    features.to_parquet(folder / "features.parquet")
    with pytest.raises(ConflictError, match="is not what was stored"):
        load_training_set(tmp_path, "battery")


def test_a_damaged_manifest_is_refused(tmp_path: Path, fleet: Fleet):
    (save(tmp_path, fleet).folder / "manifest.json").write_text("{")
    with pytest.raises(ConflictError, match=r"manifest\.json .* cannot be read"):
        load_training_set(tmp_path, "battery")


def test_before_the_first_there_is_none(tmp_path: Path):
    with pytest.raises(NotFoundError, match="materialise models/battery_training_set"):
        load_training_set(tmp_path, "battery")


def test_the_newest_is_current_and_old_ones_go(tmp_path: Path, fleet: Fleet):
    saved = [save(tmp_path, fleet, NOON + timedelta(days=n)).folder for n in range(KEPT_SETS + 2)]
    assert load_training_set(tmp_path, "battery").folder == saved[-1]
    assert sorted(path for path in saved if path.exists()) == saved[-KEPT_SETS:]
