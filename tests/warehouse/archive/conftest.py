"""Days on their way to an archive of the test's own."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from telematics.settings import Settings
from tests.stack_fixture import free_ports
from tests.warehouse.conftest import Fleet, Row
from warehouse.archive.archiving import ArchiveReport, archive_days
from warehouse.archive.ledger import ArchivedFile, newest_version
from warehouse.clients import timescale
from warehouse.day_load import load_days
from warehouse.retention import drop_merged_days

BUCKET = "archive"


@dataclass
class Road:
    """Takes a fleet's days from tier to tier; other tests' days stay out of it."""

    fleet: Fleet
    settings: Settings

    def warm_up(self, days: Sequence[date], run_id: str = "one") -> None:
        """Merge the days into ClickHouse and drop their hot rows."""
        load_days(self.settings, min(days), max(days) + timedelta(1), run_id)
        dropped = drop_merged_days(self.settings, max(days) + timedelta(8), 7).dropped
        assert set(days) <= set(dropped)

    def archive(self, days: Sequence[date]) -> ArchiveReport:
        """Archive these days, whatever their age."""
        return archive_days(self.settings, max(days) + timedelta(9), 7, only=set(days))

    def write_and_archive(self, rows: Sequence[Row]) -> list[date]:
        """All the way."""
        self.fleet.write(rows)
        days = sorted({row.time.date() for row in rows})
        self.warm_up(days)
        report = self.archive(days)
        assert [done.day for done in report.archived] == days, report
        return days

    def file(self, day: date) -> ArchivedFile:
        """The day's newest archived file."""
        with timescale(self.settings) as connection:
            found = newest_version(connection, day)
        assert found is not None
        return found


@pytest.fixture
def road(fleet: Fleet, tmp_path: Path) -> Road:
    """A fleet and an archive in a folder of the test's own."""
    settings = fleet.settings.model_copy(update={"archive_url": str(tmp_path / "archive")})
    return Road(fleet, settings)


@pytest.fixture(scope="session")
def glacier_endpoint() -> Iterator[str]:
    """Address of an S3 server that refuses to read offline classes until they are restored."""
    server = ThreadedMotoServer("127.0.0.1", free_ports(1)[0], verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def bucket_settings(settings: Settings, endpoint: str, **overrides: Any) -> Settings:
    """Settings of an archive in a bucket."""
    values = {
        "archive_url": f"s3://{BUCKET}/piston",
        "archive_endpoint": endpoint,
        "archive_access_key": "key",
        "archive_secret_key": "secret",
        "archive_timeout_s": 5.0,
    }
    return Settings.model_validate(settings.model_dump() | values | overrides)


@pytest.fixture
def make_bucket() -> Callable[[Settings], Any]:
    """Creates the bucket that the settings name; returns a client of the server."""

    def make(settings: Settings) -> Any:
        assert settings.archive_secret_key is not None
        client = boto3.client(
            "s3",
            endpoint_url=settings.archive_endpoint,
            region_name=settings.archive_region,
            aws_access_key_id=settings.archive_access_key,
            aws_secret_access_key=settings.archive_secret_key.get_secret_value(),
        )
        client.create_bucket(Bucket=BUCKET)
        return client

    return make
