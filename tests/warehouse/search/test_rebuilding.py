"""Whole rebuilds on the real server."""

import threading

import pytest

from telematics.names import SEARCH_ALIAS
from warehouse.search import counts
from warehouse.search.checks import parity
from warehouse.search.index import IndexNotWrittenError, all_indices, current_index, index_number, write

pytestmark = pytest.mark.integration


class TroubleError(Exception):
    """The rebuild's process gets into trouble."""


def test_every_vehicle_of_the_registry_has_a_document(search_stack, build, register, document):
    vin = register()
    report = build()
    assert document(vin) == {"vin": vin, "origin": "live", "make": "Honda", "model": "Accord", "year": 2019}
    assert report.document_count == counts(search_stack)
    assert report.bytes > 0
    assert report.index_bytes > 0


def test_the_alias_moves_to_a_new_index_and_the_old_one_goes(search, build):
    first = build().index
    second = build().index
    assert index_number(second) == index_number(first) + 1
    assert all_indices(search) == [second]


def test_a_rebuild_that_fails_leaves_the_last_good_index_and_nothing_half_built(
    search, build, register, document
):
    vin = register()
    good = build().index
    late = register()

    def fail(_: str) -> None:
        raise TroubleError

    with pytest.raises(TroubleError):
        build(before_switch=fail)
    assert all_indices(search) == [good]
    assert document(vin) is not None
    assert document(late) is None


def test_what_a_killed_rebuild_left_is_removed_by_the_next(search, build):
    good = build().index
    search.indices.create(index=f"{SEARCH_ALIAS}-{index_number(good) + 1}")  # as after a kill -9
    search.indices.create(index=f"{SEARCH_ALIAS}-forgotten")
    assert all_indices(search) == [
        f"{SEARCH_ALIAS}-forgotten",
        good,
        f"{SEARCH_ALIAS}-{index_number(good) + 1}",
    ]
    fresh = build().index
    assert all_indices(search) == [fresh]


def test_readers_see_the_old_index_or_the_new_one_and_never_a_part(search, build, register):
    vins = [register(model=f"Batch{number}") for number in range(20)]
    build()
    seen, stop = set(), threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen.add(search.count(index=SEARCH_ALIAS, query={"terms": {"vin": vins}})["count"])

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(2):
            build()
    finally:
        stop.set()
        reader.join()
    assert seen == {len(vins)}


def test_a_document_that_the_mapping_does_not_know_is_told(search, build):
    index = build().index
    with pytest.raises(IndexNotWrittenError, match="strict_dynamic_mapping_exception"):
        write(search, index, [(1, {"vin": "X", "surprise": 1})])


def test_an_older_version_never_overwrites_a_newer_one(search, build, register, document):
    vin = register()
    index = build().index
    assert write(search, index, [(2_000, {"vin": vin, "year": 2002})]).documents == 1
    older = write(search, index, [(1_000, {"vin": vin, "year": 1001}), (3_000, {"vin": register()})])
    assert (older.documents, older.stale) == (1, 1)
    assert document(vin)["year"] == 2002
    assert current_index(search) == index


def test_parity_holds_after_a_rebuild_and_sees_a_lost_and_a_foreign_document(
    search_stack, search, build, register
):
    vin = register()
    index = build().index
    assert parity(search_stack).passed
    search.delete(index=index, id=vin, refresh=True)
    lost = parity(search_stack)
    assert not lost.passed
    assert lost.numbers["documents"] == lost.numbers["vehicles_then"] - 1
    build()
    write(search, SEARCH_ALIAS, [(1, {"vin": "NOBODY"})])
    assert not parity(search_stack).passed
    build()
    register()  # since the index was made: no fault
    assert parity(search_stack).passed


def test_without_search_there_is_nothing_to_compare(search_stack):
    assert parity(search_stack.model_copy(update={"with_search": False})).passed
