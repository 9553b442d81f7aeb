"""Fixtures for every test. Servers start only when a test asks for `stack`."""

from pathlib import Path

import pytest

pytest_plugins = ["tests.stack_fixture"]

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the clone."""
    return REPOSITORY
