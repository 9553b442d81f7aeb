"""Charts are pictures with something on them, and leave no global state behind."""

import io
import sys
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.image import imread

from ml.charts import BLUE, ORANGE, lift_png, reliability_png, survival_png
from ml.evaluation import Evaluation

CHARTS = [(reliability_png, BLUE), (survival_png, ORANGE), (lift_png, BLUE)]


@pytest.mark.parametrize(("draw", "colour"), CHARTS)
def test_a_chart_decodes_and_shows_its_data(
    evaluation: Evaluation, draw: Callable[[Evaluation], bytes], colour: str
) -> None:
    image = imread(io.BytesIO(draw(evaluation)), format="png")
    height, width = image.shape[:2]
    assert height > 400
    assert width > 900
    wanted = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    is_drawn = (np.abs(image[:, :, :3] - wanted) < 0.02).all(axis=2)
    assert is_drawn.sum() > 300
    rows, columns = np.nonzero(is_drawn)
    assert np.ptp(rows) > height / 6
    assert np.ptp(columns) > width / 3


@pytest.mark.parametrize(("draw", "colour"), CHARTS)
def test_a_chart_of_the_same_figures_is_the_same(
    evaluation: Evaluation, draw: Callable[[Evaluation], bytes], colour: str
) -> None:
    assert draw(evaluation) == draw(evaluation)
    assert "matplotlib.pyplot" not in sys.modules
