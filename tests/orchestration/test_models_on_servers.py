"""A small simulated fleet through all jobs on real servers: loaded, learnt from, judged, scored."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest
import redis

from ml.registry import Registry
from orchestration.candidates import StoredCandidate, load_candidate, save_candidate
from orchestration.definitions import defs
from orchestration.errors import RunFailedError
from orchestration.home import environment_of, home_of
from orchestration.launch import run_job
from orchestration.learning import is_loaded, loaded_folders, oracle_folders, read_history
from orchestration.scoring import score_fleet
from orchestration.training import registry_folder
from simulation.fleet.history import write_history
from telematics import names
from telematics.clock import utc_today
from telematics.settings import Settings
from tests.orchestration.candidate_making import make_evaluation
from warehouse import model_data
from warehouse.clients import clickhouse
from warehouse.prediction_checks import health_scores_add_up, predictions_cover_fleet

pytestmark = [pytest.mark.integration, pytest.mark.slow]

CARS, END = 100, date(2025, 12, 31)
FIRST = END - timedelta(days=729)
SEED, FLEET = 77, "0SM00077"
"""The fleet's VINs begin with the maker's code and the seed."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("history") / "fleet"
    write_history(path, seed=SEED, vehicles=CARS, days=730, end_day=END)
    return path


@pytest.fixture(scope="module")
def settings(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The stack with a folder of models that no other test promotes in."""
    return stack.model_copy(update={"models_dir": tmp_path_factory.mktemp("models")})


@pytest.fixture(scope="module")
def history(settings: Settings, folder: Path) -> Settings:
    """The settings, once the fleet is loaded and its features are built; the day's marts exist too."""
    run_job(settings, "backfill_job", folder=folder)
    run_job(settings, "refresh_job", days=(END, END + timedelta(days=1)))
    run_job(settings, "features_job", days=(FIRST, END + timedelta(days=2)))
    return settings


@dataclass(frozen=True)
class Refusal:
    """After a training whose candidate the gate refused."""

    settings: Settings
    lines: list[str]
    candidate: StoredCandidate


@pytest.fixture(scope="module")
def refused(history: Settings) -> Refusal:
    """A hundred cars do not fail often enough to judge a model by."""
    lines: list[str] = []
    with pytest.raises(RunFailedError, match="training_job failed"):
        run_job(history, "training_job", progress=lines.append)
    return Refusal(history, lines, load_candidate(history, "battery"))


@pytest.fixture(scope="module")
def champion(refused: Refusal) -> str:
    """The same model, promoted by the asset after its figures were replaced by ones that pass."""
    passing = replace(refused.candidate, evaluation=make_evaluation())
    save_candidate(refused.settings, passing)
    assert _materialize(refused.settings, "models/battery_champion").success
    return passing.model_id


def _materialize(settings: Settings, key: str) -> dg.ExecuteInProcessResult:
    """One asset by itself, as the web server's button does it."""
    asset = next(
        each
        for each in defs.assets or ()
        if isinstance(each, dg.AssetsDefinition) and dg.AssetKey.from_user_string(key) in each.keys
    )
    return dg.materialize([asset], resources={"settings": settings}, raise_on_error=False)


def test_a_load_is_one_load_and_its_metadata_says_so(
    history: Settings, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    run_job(history, "backfill_job", folder=folder)
    with clickhouse(history) as client:
        loads = client.query(
            "select uniqExact(load_id), count() = uniqExact(vin, date) "
            "from analytics.loaded_component_day_signals where startsWith(vin, {fleet:String})",
            parameters={"fleet": FLEET},
        ).result_rows
    assert loads == [(1, True)]
    monkeypatch.setenv("PISTON_TIMESCALE_PASSWORD", history.timescale_password.get_secret_value())
    with dg.DagsterInstance.from_config(str(home_of(history))) as instance:
        event = instance.get_latest_materialization_event(
            dg.AssetKey(["analytics", "loaded_component_day_signals"])
        )
    metadata = {name: value.value for name, value in event.asset_materialization.metadata.items()}
    assert metadata["is_new"] is False
    assert metadata["rejected_rows"] == sum(metadata["rejected"].values())


def test_features_reach_python_as_they_lie_in_the_mart(history: Settings):
    history_of_fleet = read_history(history, "battery", ["simulated"])
    assert history_of_fleet.data_until == END
    features = history_of_fleet.features
    assert features["origin"].unique().tolist() == ["simulated"]
    assert not features.duplicated(["vin", "as_of"]).any()
    row = features.dropna(subset=["crank_min_v_28d"]).iloc[-1]
    with clickhouse(history) as client:
        stored = client.query(
            "select crank_min_v_28d, crank_min_v_28d_date from analytics.ftr_component_days "
            "where vin = {vin:String} and as_of = {as_of:Date}",
            parameters={"vin": row["vin"], "as_of": row["as_of"].date().isoformat()},
        ).result_rows
    assert stored == [(row["crank_min_v_28d"], row["crank_min_v_28d_date"].date())]


@pytest.fixture(scope="module")
def as_of(history: Settings) -> date:
    """The day that a scoring is about."""
    newest = model_data.newest_as_of(history, utc_today())
    assert newest is not None
    assert newest > END, "the last day's signals are known the day after"
    return newest


def test_a_day_that_has_no_features_yet_is_not_looked_for(history: Settings):
    assert model_data.newest_as_of(history, END) == END
    assert model_data.newest_as_of(history, date(2000, 1, 1)) is None


def test_every_known_vehicle_is_scored_also_one_without_features(history: Settings, as_of: date):
    frame = model_data.read_newest_features(history, as_of)
    with clickhouse(history) as client:
        [(vehicles,)] = client.query("select count() from analytics.vehicles").result_rows
    assert len(frame) == frame["vin"].nunique() == vehicles
    assert frame["as_of"].dt.date.unique().tolist() == [as_of]


def test_the_truth_counts_while_the_folder_holds_what_was_loaded(history: Settings, folder: Path):
    assert folder in oracle_folders(history)
    assert is_loaded(history, folder)
    records = folder / "service_records.parquet"
    kept = records.read_bytes()
    records.write_bytes(kept + b" ")
    try:
        assert folder not in loaded_folders(history)
        assert not is_loaded(history, folder)
    finally:
        records.write_bytes(kept)


def test_the_gate_refuses_and_the_champion_does_not_move(refused: Refusal):
    assert [line for line in refused.lines if "models/battery_candidate" in line], (
        "it was trained and is kept"
    )
    assert [line for line in refused.lines if "check models/battery_evaluation enough_failures" in line]
    registry = Registry(registry_folder(refused.settings))
    assert len(registry.models("battery")) == 1
    assert not (registry.folder / "battery" / "champion.json").exists()
    evaluation = refused.candidate.evaluation
    assert evaluation.figures["information_fraction_90"].point > 0, "the loaded folder's truth was found"


def test_promotion_by_hand_does_not_get_around_the_gate(refused: Refusal):
    result = _materialize(refused.settings, "models/battery_champion")
    assert not result.success
    [failure] = [event for event in result.all_events if event.event_type is dg.DagsterEventType.STEP_FAILURE]
    assert "is not promoted" in str(failure.step_failure_data)
    assert not (registry_folder(refused.settings) / "battery" / "champion.json").exists()


def test_without_a_champion_a_scoring_says_so_and_writes_nothing(refused: Refusal):
    before = _predictions(refused.settings)
    result = _materialize(refused.settings, "analytics/maintenance_predictions")
    assert result.success
    [prediction, _] = result.get_asset_materialization_events()
    assert "run Dagster's training_job" in prediction.materialization.metadata["note"].value
    assert _predictions(refused.settings) == before


def test_evaluate_says_what_training_found(refused: Refusal, repository: Path):
    command = [sys.executable, "-m", "cli.main", "evaluate", "--json", "--resamples", "20"]
    environment = environment_of(refused.settings, os.environ)
    ran = subprocess.run(
        command,
        check=True,
        cwd=repository,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    document = json.loads(ran.stdout)
    found = refused.candidate.evaluation.figures
    for name in ("log_loss_vs_km", "oe_ratio", "information_fraction_30", "information_fraction_90"):
        assert document["figures"][name] == pytest.approx(found[name].point), name
    assert document["trained_on"] == refused.candidate.trained_on
    assert document["model_id"] is None
    assert document["oracle"]["oracle_oe_ratio_90"] == pytest.approx(found["oracle_oe_ratio_90"].point)


def _predictions(settings: Settings) -> list[tuple]:
    with clickhouse(settings) as client:
        return client.query(
            "select vin, risk_level, model_id, reason, evidence from analytics.maintenance_predictions "
            "where as_of > {end:Date} and startsWith(vin, {fleet:String}) order by vin",
            parameters={"end": END.isoformat(), "fleet": FLEET},
        ).result_rows


def test_the_champion_scores_the_fleet_up_to_the_published_document(
    champion: str, history: Settings, as_of: date
):
    run_job(history, "scoring_job")
    rows = _predictions(history)
    assert len(rows) == CARS
    assert {model_id for _, _, model_id, _, _ in rows} == {champion}
    for _, level, _, reason, evidence in rows:
        assert (level == "unknown") is bool(reason)
        assert (level == "unknown") is (json.loads(evidence) == [])
    assert predictions_cover_fleet(history, as_of).passed
    assert health_scores_add_up(history).passed
    with redis.Redis.from_url(history.valkey_url()) as live:
        document = json.loads(live.get(names.scores_key(rows[0][0])))
    assert document["maintenance"]["predictions"][0]["model_id"] == champion
    assert document["health"]["as_of"] == as_of.isoformat()


def test_a_vehicle_without_prediction_and_a_wrong_sum_are_noticed(
    champion: str, history: Settings, as_of: date
):
    score_fleet(history, as_of)
    with clickhouse(history) as client:
        client.command(
            f"delete from analytics.maintenance_predictions where as_of = '{as_of}' and vin in "
            f"(select vin from analytics.maintenance_predictions where as_of = '{as_of}' "
            "and risk_level != 'unknown' limit 1)"
        )
        client.command(
            f"alter table analytics.health_scores update health_score = 1 where as_of = '{as_of}' "
            "and health_score > 50 settings mutations_sync = 2"
        )
    try:
        cover = predictions_cover_fleet(history, as_of)
        assert (cover.passed, cover.numbers["vehicles_without"]) == (False, 1)
        assert not health_scores_add_up(history).passed
    finally:
        score_fleet(history, as_of)


def test_a_tampered_champion_scores_nothing_and_says_why(champion: str, history: Settings, as_of: date):
    score_fleet(history, as_of)
    before = _predictions(history)
    model = registry_folder(history) / "battery" / champion / "model.skops"
    kept = model.read_bytes()
    model.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    try:
        result = _materialize(history, "analytics/maintenance_predictions")
    finally:
        model.write_bytes(kept)
    assert not result.success
    [failure] = [event for event in result.all_events if event.event_type is dg.DagsterEventType.STEP_FAILURE]
    assert "model.skops" in str(failure.step_failure_data)
    assert _predictions(history) == before
