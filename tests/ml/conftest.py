"""One synthetic fleet with a known hazard, its evaluation and its candidate, made once for all tests."""

import pytest

from ml.dataset import TrainingSet, build_training_set
from ml.evaluation import Evaluation, evaluate
from ml.fitted import FittedModel
from ml.training import Candidate, train
from tests.ml.fleet import QUICK, Fleet, make_fleet


@pytest.fixture(scope="session")
def fleet() -> Fleet:
    return make_fleet(400)


@pytest.fixture(scope="session")
def training_set(fleet: Fleet) -> TrainingSet:
    return build_training_set(fleet.features, fleet.records, data_until=fleet.data_until)


@pytest.fixture(scope="session")
def evaluation(fleet: Fleet, training_set: TrainingSet) -> Evaluation:
    return evaluate(training_set, oracle=fleet.oracle, settings=QUICK)


@pytest.fixture(scope="session")
def candidate(training_set: TrainingSet, evaluation: Evaluation) -> Candidate:
    return train(training_set, evaluation, seed=0)


@pytest.fixture(scope="session")
def model(candidate: Candidate) -> FittedModel:
    return candidate.model
