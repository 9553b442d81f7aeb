"""The archive on an S3 server: storage classes, Glacier, servers that are full, slow or wrong."""

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
import pytest
from clickhouse_connect.driver.client import Client

from telematics.clock import day_start
from telematics.errors import ConfigurationError
from telematics.settings import Settings
from tests.warehouse.archive.conftest import BUCKET, Road, bucket_settings
from tests.warehouse.conftest import Fleet
from warehouse.archive import layout
from warehouse.archive.archiving import archive_days
from warehouse.archive.errors import StorageError
from warehouse.archive.restoring import RestoreState, restore_day, send_requests
from warehouse.archive.storage import open_storage
from warehouse.archive.verification import inspect
from warehouse.day_load import load_days
from warehouse.dirty import dirty_days
from warehouse.history import HistoryStores, Resolution, read, read_fleet

pytestmark = pytest.mark.integration
DAY = timedelta(1)
MakeBucket = Callable[[Settings], Any]


@contextmanager
def server_that(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A server on the loopback that answers every request like this."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            answer(self)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_any

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def bucket(fleet: Fleet, glacier_endpoint: str, make_bucket: MakeBucket) -> Iterator[tuple[Road, Any]]:
    settings = bucket_settings(fleet.settings, glacier_endpoint)
    client = make_bucket(settings)
    yield Road(fleet, settings), client
    client.close()


def test_a_day_in_a_bucket_has_the_class_asked_for_and_its_manifest_is_always_at_hand(
    bucket: tuple[Road, Any],
) -> None:
    road, client = bucket
    road.settings = road.settings.model_copy(update={"archive_storage_class": "STANDARD_IA"})
    imei, _ = road.fleet.install()
    [day] = road.write_and_archive(road.fleet.make_rows(imei, road.fleet.day(), 5))
    file = road.file(day)
    head = client.head_object(Bucket=BUCKET, Key=f"piston/{file.key}", ChecksumMode="ENABLED")
    assert (head["StorageClass"], head["ContentLength"]) == ("STANDARD_IA", file.byte_count)
    manifest = client.head_object(Bucket=BUCKET, Key=f"piston/{layout.manifest_key(file.key)}")
    assert manifest.get("StorageClass", "STANDARD") == "STANDARD"
    storage = open_storage(road.settings)
    assert sorted(storage.keys(layout.prefix_of(day))) == sorted([file.key, layout.manifest_key(file.key)])
    assert inspect(storage, file) is None


@pytest.fixture
async def stores(bucket: tuple[Road, Any]) -> AsyncIterator[HistoryStores]:
    opened = await HistoryStores.open(bucket[0].settings)
    yield opened
    await opened.close()


async def test_a_day_in_glacier_is_pending_until_it_is_restored(
    bucket: tuple[Road, Any], stores: HistoryStores, warm: Client, hot: psycopg.Connection
) -> None:
    road, client = bucket
    online, frozen = road.fleet.day(), road.fleet.day(1)
    imei, vin = road.fleet.install()
    rows = [row for day in (online, frozen) for row in road.fleet.make_rows(imei, day, 3)]
    road.write_and_archive(rows[:3])
    road.settings = road.settings.model_copy(update={"archive_storage_class": "GLACIER"})
    road.write_and_archive(rows[3:])
    file = road.file(frozen)
    assert file.storage_class == "GLACIER"
    key = f"piston/{file.key}"
    assert client.head_object(Bucket=BUCKET, Key=key)["StorageClass"] == "GLACIER"
    assert "Contents" not in client.list_objects_v2(Bucket=BUCKET, Prefix="piston/unverified/")

    span = day_start(online), day_start(frozen + DAY)
    page = await read(stores, vin, *span)
    assert (len(page.records), page.tiers, page.pending_days) == (3, ("archive",), (frozen,))
    page = await read(stores, vin, *span, resolution=Resolution.DAY)
    assert ([row["data_points"] for row in page.records], page.pending_days) == ([3], (frozen,))
    _, other = road.fleet.install()
    fleet_page = await read_fleet(stores, [vin, other], *span)
    assert [(len(part.records), part.pending_days) for part in fleet_page.vehicles] == [
        (3, (frozen,)),
        (0, (frozen,)),
    ]
    asked = hot.execute("select requested_by, sent_at from archive_restores where day = %s", [frozen])
    assert asked.fetchall() == [("history", None)]
    # a late record cannot be merged yet: it stays hot, its day dirty, and nobody tries in vain
    road.fleet.write(road.fleet.make_rows(imei, frozen, 1, start_s=1.5))
    report = load_days(road.settings, frozen, frozen + DAY, "late")
    assert "GLACIER" in report.out_of_reach[0].reason
    assert dirty_days(road.settings, frozen, frozen + DAY) == []

    assert restore_day(road.settings, frozen, 2).state is RestoreState.REQUESTED
    again = restore_day(road.settings, frozen, 2)
    assert again.state in (RestoreState.RESTORING, RestoreState.READABLE)
    for _ in range(5):  # this server restores at the second look
        [state] = [found.state for found in send_requests(road.settings) if found.day == frozen]
        if state is RestoreState.READABLE:
            break
    assert state is RestoreState.READABLE
    page = await read(stores, vin, *span)
    assert (len(page.records), page.pending_days) == (6, ())
    assert dirty_days(road.settings, frozen, frozen + DAY) == [frozen]
    assert load_days(road.settings, frozen, frozen + DAY, "late").row_count == 4


def test_a_file_that_is_missing_keeps_no_other_day_waiting(bucket: tuple[Road, Any]) -> None:
    road, client = bucket
    imei, _ = road.fleet.install()
    road.settings = road.settings.model_copy(update={"archive_storage_class": "GLACIER"})
    road.write_and_archive([row for n in (0, 1) for row in road.fleet.make_rows(imei, road.fleet.day(n), 3)])
    lost, frozen = road.fleet.day(), road.fleet.day(1)
    for day in (lost, frozen):
        restore_day(road.settings, day, 2)
    client.delete_object(Bucket=BUCKET, Key=f"piston/{road.file(lost).key}")
    said: list[str] = []
    states = {found.day: found.state for found in send_requests(road.settings, progress=said.append)}
    assert states[lost] is RestoreState.MISSING
    assert states[frozen] in (RestoreState.RESTORING, RestoreState.READABLE)
    assert any(str(lost) in sentence and "the archive has no" in sentence for sentence in said)


def test_a_server_that_is_full_busy_or_silent_costs_nothing(fleet: Fleet, warm: Client) -> None:
    imei, _ = fleet.install()
    day = fleet.day()
    fleet.write(fleet.make_rows(imei, day, 3))
    Road(fleet, fleet.settings).warm_up([day])

    def full(request: BaseHTTPRequestHandler) -> None:
        request.rfile.read(int(request.headers.get("Content-Length", 0)))
        request.send_error(507, "Insufficient Storage")

    def silent(_: BaseHTTPRequestHandler) -> None:
        over.wait(20)

    over = threading.Event()
    for answer in (full, silent):
        with server_that(answer) as endpoint:
            settings = bucket_settings(fleet.settings, endpoint, archive_timeout_s=0.5)
            with pytest.raises(StorageError, match="could not be written"):
                archive_days(settings, day + timedelta(9), 7, only={day})
            over.set()
    nobody = bucket_settings(fleet.settings, "http://127.0.0.1:9", archive_timeout_s=0.5)
    with pytest.raises(StorageError, match="PISTON_ARCHIVE_ENDPOINT"):
        archive_days(nobody, day + timedelta(9), 7, only={day})
    [[left]] = warm.query(
        "select count() from analytics.telemetry where toDate(time, 'UTC') = {day:Date}",
        parameters={"day": day.isoformat()},
    ).result_rows
    assert left == 3


def test_a_bucket_that_is_not_there_is_a_setting_to_mend(fleet: Fleet, glacier_endpoint: str) -> None:
    imei, _ = fleet.install()
    day = fleet.day()
    fleet.write(fleet.make_rows(imei, day, 3))
    Road(fleet, fleet.settings).warm_up([day])
    settings = bucket_settings(fleet.settings, glacier_endpoint, archive_url="s3://nobody/x")
    with pytest.raises(ConfigurationError, match=r"NoSuchBucket.*PISTON_ARCHIVE_URL"):
        archive_days(settings, day + timedelta(9), 7, only={day})


@pytest.mark.parametrize(
    ("url", "storage_class"), [("ftp://host/x", "STANDARD"), ("s3://", "STANDARD"), ("/folder", "GLACIER")]
)
def test_an_archive_that_cannot_be_is_refused(test_settings: Settings, url: str, storage_class: str) -> None:
    settings = test_settings.model_copy(update={"archive_url": url, "archive_storage_class": storage_class})
    with pytest.raises(ConfigurationError, match="PISTON_ARCHIVE_"):
        open_storage(settings)
