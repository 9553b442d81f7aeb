"""The whole way on an S3 server that keeps its data on a disk and checks signatures."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from telematics.clock import day_start
from telematics.errors import ConfigurationError
from telematics.settings import Settings
from tests.warehouse.archive import s3proxy
from tests.warehouse.archive.conftest import BUCKET, Road, bucket_settings
from tests.warehouse.archive.test_history import expected, identities, read_all
from tests.warehouse.conftest import Fleet
from warehouse.archive.errors import DamagedError
from warehouse.archive.storage import open_storage
from warehouse.archive.verification import inspect
from warehouse.day_load import load_days
from warehouse.history import HistoryStores, read

pytestmark = pytest.mark.integration
DAY = timedelta(1)


@pytest.fixture(scope="module")
def server(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("s3proxy")
    with s3proxy.running(stack, folder, "key", "secret") as address:
        yield address, folder / "data"


async def test_a_day_goes_there_is_read_merged_and_checked(
    fleet: Fleet, server: tuple[str, Path], make_bucket: Callable[[Settings], Any]
) -> None:
    address, data = server
    road = Road(fleet, bucket_settings(fleet.settings, address, archive_storage_class="STANDARD_IA"))
    client = make_bucket(road.settings)
    imei, vin = fleet.install()
    rows = fleet.make_rows(imei, fleet.day(), 200)
    [day] = road.write_and_archive(rows)
    file = road.file(day)
    head = client.head_object(Bucket=BUCKET, Key=f"piston/{file.key}")
    assert (head["StorageClass"], head["ContentLength"]) == ("STANDARD_IA", file.byte_count)
    storage = open_storage(road.settings)
    assert inspect(storage, file) is None
    assert storage.put(file.key, Path(__file__), storage_class="STANDARD") is False, "nothing is written over"

    stores = await HistoryStores.open(road.settings)
    span = day_start(day), day_start(day + DAY)
    records, pages = await read_all(stores, vin, *span, limit=90)
    assert identities(records) == expected(rows)
    assert {page.tiers for page in pages} == {("archive",)}
    late = fleet.make_rows(imei, day, 2, start_s=300)
    fleet.write(late)
    assert load_days(road.settings, day, day + DAY, "late").row_count == 202
    road.warm_up([day], "again")
    assert [done.version for done in road.archive([day]).archived] == [2]
    assert identities((await read_all(stores, vin, *span))[0]) == expected(rows + late)

    [stored] = list(data.rglob(road.file(day).key.rpartition("/")[2]))
    content = bytearray(stored.read_bytes())
    content[len(content) // 3] ^= 1
    with stored.open("r+b") as damaged:  # in place: the server keeps what it knows of the object beside it
        damaged.write(content)
    assert "SHA-256" in str(inspect(storage, road.file(day)))
    fresh = await HistoryStores.open(road.settings)
    with pytest.raises(DamagedError, match="v0002"):
        await read(fresh, vin, *span)
    await fresh.close()
    await stores.close()
    client.close()


def test_a_wrong_secret_is_a_setting_to_mend(fleet: Fleet, server: tuple[str, Path]) -> None:
    settings = bucket_settings(fleet.settings, server[0], archive_secret_key="wrong")
    with pytest.raises(ConfigurationError, match="PISTON_ARCHIVE_URL"):
        list(open_storage(settings).keys("telemetry/"))
