import json
from pathlib import Path

import pytest

from ml.bootstrap import Figure
from orchestration.candidates import candidate_path, load_candidate, read_evaluation, save_candidate
from orchestration.plots import as_image
from orchestration.training_assets import evaluation_metadata, figure_table, points
from telematics.errors import ConflictError, NotFoundError
from telematics.settings import Settings
from tests.orchestration.candidate_making import make_candidate, make_evaluation


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(environment="test", models_dir=tmp_path)


def test_an_evaluation_survives_the_file(settings: Settings):
    saved = make_candidate()
    save_candidate(settings, saved)
    loaded = load_candidate(settings, "battery")
    assert loaded.evaluation.as_document() == saved.evaluation.as_document()
    assert (loaded.model_id, loaded.trained_on) == (saved.model_id, saved.trained_on)
    assert loaded.verdicts() == saved.verdicts()


def test_what_is_null_in_the_file_is_no_number_again(settings: Settings):
    save_candidate(settings, make_candidate())
    evaluation = load_candidate(settings, "battery").evaluation
    assert evaluation.figures["information_fraction_90"].point != evaluation.figures["oe_ratio"].point
    assert evaluation.slices["low"].dtype == float
    assert "NaN" not in candidate_path(settings, "battery").read_text()


def test_before_the_first_training_there_is_no_candidate(settings: Settings):
    with pytest.raises(NotFoundError, match="no candidate for battery: run training_job"):
        load_candidate(settings, "battery")


@pytest.mark.parametrize("damage", ["{", "[]", '{"model_id": "x"}'])
def test_a_damaged_file_is_a_sentence(settings: Settings, damage: str):
    save_candidate(settings, make_candidate()).write_text(damage)
    with pytest.raises(ConflictError, match=r"cannot be read .*train again"):
        load_candidate(settings, "battery")


def test_a_field_of_another_release_is_refused():
    document = make_evaluation().as_document()
    with pytest.raises(TypeError):
        read_evaluation(document | {"settings": {"depth": 3}})
    with pytest.raises(KeyError):
        read_evaluation({key: value for key, value in document.items() if key != "cutoff"})


def test_figures_without_a_value_are_no_points_and_a_dash_in_the_table():
    evaluation = make_evaluation()
    assert "information_fraction_90" not in points(evaluation)
    assert points(evaluation)["oe_ratio"].value == 1.02
    assert "| information_fraction_90 | – | – | – |" in figure_table(evaluation)
    assert "| oe_ratio | 1.0200 | 0.9000 | 1.1400 |" in figure_table(evaluation)


def test_plots_are_pictures_in_the_metadata():
    metadata = evaluation_metadata(make_candidate())
    for name in ("reliability", "survival", "lift"):
        assert metadata[name].value.startswith(f"![{name}](data:image/png;base64,iVBORw0KGgo"), name
    assert json.dumps({name: value.value for name, value in metadata.items()}), "metadata is stored as JSON"


def test_a_picture_is_carried_as_it_is():
    assert as_image("lift", b"\x89PNG") == "![lift](data:image/png;base64,iVBORw==)"


def test_the_gate_refuses_what_is_surely_no_better(settings: Settings):
    save_candidate(settings, make_candidate(figures={"log_loss_vs_km": Figure(-0.01, -0.03, 0.01)}))
    failed = [verdict for verdict in load_candidate(settings, "battery").verdicts() if not verdict.passed]
    assert [verdict.name for verdict in failed] == ["log_loss_vs_km"]
