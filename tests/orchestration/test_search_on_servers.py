"""published/search as Dagster runs it, with a search server and without."""

import dagster as dg
import pytest

from orchestration.search import SEARCH, published_search, search_parity
from telematics.settings import Settings
from warehouse.search import counts

pytestmark = pytest.mark.integration


def run(settings: Settings) -> dg.ExecuteInProcessResult:
    # what comes before is not part of this run
    return dg.materialize(
        [published_search], resources={"settings": settings}, selection=dg.AssetSelection.assets(SEARCH)
    )


def test_the_index_is_built_and_tells_how_large_it_is(search_stack: Settings) -> None:
    result = run(search_stack)
    (made,) = result.asset_materializations_for_node("published__search")
    assert made.metadata["documents"].value == counts(search_stack)
    assert made.metadata["seconds"].value > 0
    checked = search_parity(search_stack)
    assert isinstance(checked, dg.AssetCheckResult)
    assert checked.passed


def test_without_search_the_asset_says_so_and_fails_nothing(stack: Settings) -> None:
    (made,) = run(stack.model_copy(update={"with_search": False})).asset_materializations_for_node(
        "published__search"
    )
    assert "without search" in str(made.metadata["note"].value)
