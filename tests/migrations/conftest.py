"""A stack of its own: these tests take every table away, and others keep their data in the shared one."""

from collections.abc import Iterator

import pytest

from stack import control
from telematics.settings import Settings
from tests.stack_fixture import make_data_dir, make_settings, remove_stack


@pytest.fixture(scope="package")
def own_stack() -> Iterator[Settings]:
    """Running servers without schema."""
    settings = make_settings(make_data_dir())
    try:
        control.up(settings, is_tied=True)
        yield settings
    finally:
        remove_stack(settings)
