"""The search schema on the session's Elasticsearch; other tests find it as it was."""

import pytest
from elasticsearch import NotFoundError

from migrations import apply
from migrations.search import apply as search
from telematics.errors import UnavailableError
from telematics.names import SEARCH_ALIAS
from warehouse.search.index import (
    BEFORE_ALL,
    all_indices,
    connected,
    current_index,
    mark_document,
    parse_mark,
)
from warehouse.search.sources import ConsentMark

pytestmark = pytest.mark.integration


def test_up_makes_template_index_and_alias_and_down_takes_them_away(search_stack):
    search.remove(search_stack)
    try:
        with connected(search_stack) as client:
            assert search.current(search_stack) == 0
            assert all_indices(client) == []
            assert current_index(client) is None
    finally:
        assert search.migrate(search_stack) == (0, search.head())
    with connected(search_stack) as client:
        assert current_index(client) == f"{SEARCH_ALIAS}-1"
        mapping = client.indices.get_mapping(index=SEARCH_ALIAS)[f"{SEARCH_ALIAS}-1"]["mappings"]
    assert mapping["dynamic"] == "strict"
    assert parse_mark(mapping) == BEFORE_ALL  # it knows no consents, so each is looked up
    assert [state.is_current for state in apply.states(search_stack) if state.store == "search"] == [True]


def test_up_again_changes_nothing_and_keeps_the_documents(search_stack):
    with connected(search_stack) as client:
        index = current_index(client)
        client.index(index=SEARCH_ALIAS, id="KEPT", document={"vin": "KEPT"})
        assert search.migrate(search_stack) == (search.head(), search.head())
        assert current_index(client) == index
        assert client.get(index=SEARCH_ALIAS, id="KEPT")["found"]
        client.delete(index=SEARCH_ALIAS, id="KEPT")


def test_an_index_that_a_killed_rebuild_left_does_not_stop_the_first_up(search_stack):
    search.remove(search_stack)
    with connected(search_stack) as client:
        client.indices.create(index=f"{SEARCH_ALIAS}-1")
        search.migrate(search_stack)
        assert current_index(client) == f"{SEARCH_ALIAS}-1"
        with pytest.raises(NotFoundError):
            client.get(index=SEARCH_ALIAS, id="KEPT")


def test_a_server_that_is_away_is_told_with_what_to_do(search_stack):
    away = search_stack.model_copy(update={"search_url": "http://127.0.0.1:1"})
    with pytest.raises(UnavailableError, match="PISTON_WITH_SEARCH=false"):
        search.migrate(away)


def test_a_mark_is_read_as_it_was_written():
    mark = ConsentMark(BEFORE_ALL.read_at, 7)
    assert parse_mark({"_meta": mark_document(mark)}) == mark
