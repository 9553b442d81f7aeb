"""The hazard on real-world-like run-to-failure data that nobody here made: NASA's C-MAPSS FD001.

The same `HazardModel` as for batteries, with engine cycles in place of days. Known figures (root mean square
error of the remaining life capped at 125 cycles): a constant 41.0, ridge on 20-cycle means and slopes 16.7,
the best published 10.4 to 16.
"""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zstandard

from ml.hazard import HazardModel, HazardSettings
from ml.person_period import Labels
from ml.survival import days_at, survival_at

CAP = 125
EDGES = (0, 5, 10, 15, 20, 30, 40, 50, 60, 75, 90, 105, 125)
WINDOW = 20
SENSORS = (2, 3, 4, 7, 8, 9, 11, 12, 13, 14, 15, 17, 20, 21)
"""The fourteen that vary in FD001."""
FEATURES = tuple(f"{kind}_{sensor}" for kind in ("mean", "slope") for sensor in SENSORS)
SETTINGS = HazardSettings(
    max_iter=150, max_leaf_nodes=8, min_samples_leaf=40, max_features=0.5, is_monotonic=False
)


@pytest.fixture(scope="module")
def folder(repository: Path) -> Path:
    path = repository.parent / "shared/data/cmapss"
    if not path.is_dir():
        pytest.skip("the C-MAPSS files are not beside the clone (../shared/data/cmapss)")
    return path


def read(folder: Path, name: str) -> pd.DataFrame:
    content = zstandard.ZstdDecompressor().stream_reader((folder / f"{name}.txt.zst").read_bytes()).read()
    return pd.read_csv(io.BytesIO(content), sep=r"\s+", header=None)


def make_landmarks(cycles: pd.DataFrame, *, step: int | None) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Means and slopes of the last 20 cycles at every `step`-th cycle, or at the last; cycle and unit."""
    time = np.arange(WINDOW) - (WINDOW - 1) / 2
    rows, at, units = [], [], []
    for unit, history in cycles.groupby(0):
        signals = history[[4 + sensor for sensor in SENSORS]].to_numpy()
        last = len(signals)
        ends = range(WINDOW, last + 1, step) if step else [last]
        for end in ends:
            window = signals[end - WINDOW : end]
            slopes = time @ (window - window.mean(axis=0)) / (time @ time)
            rows.append(np.concatenate([window.mean(axis=0), slopes]))
            at.append(end)
            units.append(unit)
    return pd.DataFrame(rows, columns=list(FEATURES)), np.array(at), np.array(units)


def test_remaining_life_of_engines_is_predicted_with_honest_intervals(folder: Path) -> None:
    training = read(folder, "train_FD001")
    frame, cycle, unit = make_landmarks(training, step=4)
    lives = training.groupby(0).size().to_numpy()
    remaining = (lives[unit - 1] - cycle + 1).astype(float)
    labels = Labels(remaining, np.ones(len(remaining), dtype=bool), np.full(len(remaining), 1e4))
    model = HazardModel(
        SETTINGS, features=FEATURES, edges=EDGES, directions={}, is_seasonal=False, random_state=0
    ).fit(frame, labels)

    engines, _, _ = make_landmarks(read(folder, "test_FD001"), step=None)
    truth = np.minimum(read(folder, "RUL_FD001")[0].to_numpy(), CAP)
    curves = model.survival(engines)
    expected = sum(survival_at(curves, cycle + 0.5, EDGES) for cycle in range(CAP))
    error = float(np.sqrt(np.mean((expected - truth) ** 2)))
    early = np.nan_to_num(days_at(curves, 0.9, EDGES), nan=CAP)
    late = np.nan_to_num(days_at(curves, 0.1, EDGES), nan=CAP)
    inside = (truth >= early) & (truth <= late)
    coverage = float(inside[truth < CAP].mean())
    assert error < 17.5
    assert 0.65 < coverage < 0.93
