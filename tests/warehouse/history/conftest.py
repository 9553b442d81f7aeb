"""A fleet whose days travel through all tiers, and readers of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.warehouse.archive.conftest import Road
from tests.warehouse.conftest import Fleet
from warehouse.history import HistoryStores


@pytest.fixture
def road(fleet: Fleet, tmp_path: Path) -> Road:
    """A fleet and an archive in a folder of the test's own."""
    return Road(fleet, fleet.settings.model_copy(update={"archive_url": str(tmp_path / "archive")}))


@pytest.fixture
async def readers(road: Road) -> AsyncIterator[HistoryStores]:
    opened = await HistoryStores.open(road.settings)
    yield opened
    await opened.close()
