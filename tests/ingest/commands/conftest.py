"""A registered device and a connection for tests on the real database."""

from collections.abc import Callable, Iterator

import pytest

from ingest.registry.models import Family, NewDevice
from ingest.registry.repository import Connection, add_device, connect
from telematics.names import Origin
from telematics.settings import Settings
from tests.ingest.making import fresh_imei, fresh_vin


@pytest.fixture
def connection(stack: Settings) -> Iterator[Connection]:
    with connect(stack, "test") as opened:
        opened.autocommit = True
        yield opened


@pytest.fixture
def make_device(connection: Connection) -> Callable[..., str]:
    def make(*, is_live: bool = False) -> str:
        imei = fresh_imei()
        if is_live:
            imei, vin, origin = "35" + imei[2:], "1HG" + fresh_vin()[3:], Origin.LIVE
        else:
            vin, origin = fresh_vin(), Origin.RECORDED
        with connection.transaction():
            add_device(connection, NewDevice(imei, vin, Family.F, origin), "test")
        return imei

    return make
