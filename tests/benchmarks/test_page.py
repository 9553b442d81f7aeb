"""The performance page says what the benchmarks printed, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.page import TARGETS, Target, read_documents, render
from benchmarks.plots import PLOTS

_DOCS = Path(__file__).parents[2] / "docs"


def test_the_committed_page_is_what_the_committed_results_say() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.page", "--check"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_every_benchmark_has_results_targets_and_a_plot() -> None:
    documents = read_documents(_DOCS)
    assert set(documents) == set(TARGETS) == set(PLOTS)
    for name, document in documents.items():
        assert document["benchmark"] == name
        assert {target.figure for target in TARGETS[name]} <= set(document["figures"])
        assert PLOTS[name](document["figures"]).startswith(b"\x89PNG")


@pytest.mark.parametrize(("value", "verdict"), [(2.0, "met"), (1.99, "**missed**")])
def test_a_missed_target_is_called_missed(value: float, verdict: str) -> None:
    document = {
        "figures": {target.figure: target.bound for target in TARGETS["gateway"]}
        | {"ratio_to_asyncio_streams": value},
        "machine": {"cores": 2, "processor": "p", "python": "3.11", "system": "Linux", "load_1min": 0.1},
        "notes": ["a note"],
    }
    page = render({"gateway": document})
    assert f"| `ratio_to_asyncio_streams` | ≥ 2 | {value:.4g} | {verdict} |" in page
    assert "- a note" in page


def test_an_upper_bound_is_met_from_below() -> None:
    limit = Target("ack_p99_ms", 15, is_least=False)
    assert limit.is_met(15)
    assert not limit.is_met(15.1)
    assert limit.words() == "≤ 15"


def test_a_figure_that_was_not_measured_is_said_not_to_be() -> None:
    document = {
        "figures": {target.figure: target.bound for target in TARGETS["storage"][1:]},
        "machine": {"cores": 2, "processor": "p", "python": "3.11", "system": "Linux", "load_1min": 0.1},
        "notes": [],
    }
    assert "| `reduction_percent_real` | ≥ 95 | not measured | |" in render({"storage": document})
