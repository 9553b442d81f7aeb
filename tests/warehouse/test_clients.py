"""A store that is not there ends in a sentence, without a secret."""

from collections.abc import Callable
from datetime import date

import pytest

from telematics.errors import UnavailableError
from telematics.settings import Environment, Settings
from warehouse.clients import open_clickhouse, timescale
from warehouse.dirty import dirty_days

SECRET = "a-secret-of-this-test"


def unreachable() -> Settings:
    # port 1 of the loopback: nothing listens there
    return Settings(
        _env_file=None,
        environment=Environment.TEST,
        timescale_port=1,
        clickhouse_http_port=1,
        timescale_password=SECRET,
        clickhouse_password=SECRET,
    )


def connect_timescale(settings: Settings) -> None:
    with timescale(settings):
        raise AssertionError


@pytest.mark.parametrize(
    "use",
    [connect_timescale, open_clickhouse, lambda settings: dirty_days(settings, date(2026, 1, 1))],
)
def test_an_unreachable_store_is_named_and_no_secret_told(use: Callable[[Settings], object]) -> None:
    with pytest.raises(UnavailableError) as caught:
        use(unreachable())
    assert "127.0.0.1:1 " in str(caught.value)
    assert "PISTON_" in str(caught.value)
    assert SECRET not in str(caught.value) + repr(caught.value.__cause__)
