"""`piston evaluate` without servers: wrong command lines, and the document that it prints."""

import json

import pytest
from typer.testing import CliRunner, Result

from cli.evaluate import _show, build_document
from cli.main import build
from ml.dataset import TrainingSet, build_training_set
from telematics.errors import PistonError
from tests.ml.fleet import make_fleet
from tests.orchestration.candidate_making import make_evaluation


@pytest.fixture
def evaluate(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """Runs the command with no server anywhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PISTON_ENVIRONMENT", "test")
    for port in ("TIMESCALE", "CLICKHOUSE_HTTP"):
        monkeypatch.setenv(f"PISTON_{port}_PORT", "1")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(build(), ["evaluate", *arguments])

    return run


@pytest.fixture(scope="module")
def training_set() -> TrainingSet:
    fleet = make_fleet(40, 400)
    return build_training_set(fleet.features, fleet.records, data_until=fleet.data_until)


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--component", "brakes"], 2, "there is no model of the component brakes: choose battery"),
        (["--oracle", "nowhere"], 2, "nowhere has no oracle/battery_days.parquet"),
        ([], 3, "TimescaleDB at 127.0.0.1:1"),
    ],
)
def test_what_cannot_be_judged_is_one_sentence(evaluate, options: list[str], code: int, says: str):
    result = evaluate(*options)
    assert isinstance(result.exception, PistonError), result.output
    assert result.exception.exit_code == code
    assert says in str(result.exception)
    assert "\n" not in str(result.exception)


def test_too_few_resamples_are_a_usage_error(evaluate):
    assert evaluate("--resamples", "1").exit_code == 2


def test_the_document_is_json_without_nan(training_set: TrainingSet):
    document = build_document(make_evaluation(), training_set, None)
    text = json.dumps(document, allow_nan=False)
    assert json.loads(text) == document
    assert {"component", "figures", "intervals", "oracle", "counts", "model_id", "trained_on"} <= set(
        document
    )
    assert document["figures"]["oe_ratio"] == 1.02
    assert document["intervals"]["oe_ratio"] == [0.9, 1.14]
    assert document["figures"]["information_fraction_90"] is None
    assert document["intervals"]["information_fraction_90"] is None
    assert document["counts"]["judged_failures"] == 60
    assert document["counts"]["vehicles"] == training_set.vehicle_count


def test_what_only_the_truth_yields_stands_apart(training_set: TrainingSet):
    from ml.bootstrap import Figure

    figures = {"oracle_oe_ratio_90": Figure(1.0, 0.9, 1.1), "true_oe_ratio_90": Figure(1.1, 1.0, 1.2)}
    document = build_document(make_evaluation(figures=figures), training_set, "some model")
    assert document["oracle"] == {"oracle_oe_ratio_90": 1.0, "true_oe_ratio_90": 1.1}
    assert not set(document["oracle"]) & set(document["figures"])
    assert document["model_id"] == "some model"


def test_the_table_names_every_figure_and_verdict(
    training_set: TrainingSet, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "160")
    document = build_document(make_evaluation(failure_count=3), training_set, None)
    document["notes"] = ["something to know"]
    _show(document)
    shown = capsys.readouterr().out
    for name in document["figures"]:
        assert name in shown, name
    assert "FAILED: 3 held-out failures" in shown
    assert "note: something to know" in shown
    assert "model that scores now: none" in shown
