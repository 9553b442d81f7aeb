"""Whose history is learnt from, and where the simulator's truth lies."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from orchestration.learning import (
    MIN_LIVE_FAILURES,
    ORACLE_FILES,
    choose_origins,
    count_failures,
    oracle_folders,
    read_oracle,
    refuse_unknown_component,
)
from telematics.errors import ConfigurationError
from telematics.settings import Settings


def test_real_cars_are_learnt_from_once_they_failed_often_enough():
    assert choose_origins(MIN_LIVE_FAILURES, []).origins == ("live",)
    few = choose_origins(MIN_LIVE_FAILURES - 1, [])
    assert few.origins == ("simulated",)
    assert "only 99 recorded failures" in few.reason


def test_origins_are_mixed_only_when_asked():
    assert choose_origins(0, ["live", "simulated", "live"]).origins == ("live", "simulated")


def test_an_origin_that_does_not_exist_is_refused():
    with pytest.raises(ConfigurationError, match="no origin lunar: choose among live"):
        choose_origins(0, ["lunar"])


def test_an_unknown_component_is_refused_with_exit_code_2():
    with pytest.raises(
        ConfigurationError, match="no model of the component brakes: choose battery"
    ) as caught:
        refuse_unknown_component("brakes")
    assert caught.value.exit_code == 2


def test_only_unplanned_replacements_of_the_component_and_origin_are_failures():
    rows = [
        ("battery", "replacement", "failure", "live"),
        ("battery", "replacement", "unknown", "live"),
        ("battery", "replacement", "preventive", "live"),
        ("battery", "repair", "failure", "live"),
        ("battery", "replacement", "failure", "simulated"),
        ("battery", "replacement", "failure", ""),
        ("brakes", "replacement", "failure", "live"),
    ]
    records = pd.DataFrame(rows, columns=["component", "kind", "reason", "origin"])
    assert count_failures(records, "battery", "live") == 2


def write_oracle(folder: Path, vin: str, risk: float) -> Path:
    day = date(2026, 1, 1)
    (folder / "oracle").mkdir(parents=True)
    pd.DataFrame({"vin": [vin], "date": [day], "risk_30": [risk], "risk_90": [risk]}).to_parquet(
        folder / ORACLE_FILES[0]
    )
    pd.DataFrame({"vin": [vin], "failed_on": [day], "replaced_on": [day]}).to_parquet(
        folder / ORACLE_FILES[1]
    )
    return folder


def test_a_named_folder_without_the_truth_is_refused(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"has no oracle/battery_days.parquet"):
        oracle_folders(Settings(environment="test"), tmp_path)


def test_the_truth_of_vehicles_that_are_not_learnt_from_is_not_read(tmp_path: Path):
    folder = write_oracle(tmp_path / "a", "SIM1", 0.1)
    assert read_oracle([folder], {"SIM2"}) is None
    assert read_oracle([], {"SIM1"}) is None
    found = read_oracle([folder], {"SIM1"})
    assert found is not None
    assert len(found.days) == len(found.failures) == 1


def test_where_folders_overlap_the_first_counts(tmp_path: Path):
    folders = [write_oracle(tmp_path / name, "SIM1", risk) for name, risk in (("a", 0.1), ("b", 0.2))]
    found = read_oracle(folders, {"SIM1"})
    assert found is not None
    assert found.days["risk_30"].tolist() == [0.1]
    assert len(found.failures) == 1
