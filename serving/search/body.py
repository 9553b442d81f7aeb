"""The request to Elasticsearch. Pure.

CONSENT. Whether the partner may find a vehicle is a filter of the query itself, so neither results nor
totals nor facets know of any other: by the consents in the document, and for vehicles whose consent changed
since the index was built, by their VINs. What consent does not cover cannot be searched by either: words fit
trouble codes, and places fit positions, only of vehicles whose grant covers those; of a vehicle with
`location:coarse` only the coarse position takes part, in filters and in the order.

RELEVANCE. Each word must fit, and counts by the best way in which it does: an exact VIN above its beginning,
above a trouble code, above make and model, above a typing error in them. The weights are constants: scores
by frequency would tell of the vehicles of others, and change while somebody pages.
"""

import re
from collections.abc import Collection, Sequence
from typing import Any, Final

from serving.consent.gate import SEARCHABLE, FleetAccess
from serving.scopes import Scope
from serving.search.wanted import Box, Facet, Near, Sort, Wanted
from telematics.names import consent_term

Body = dict[str, Any]

FACET_VALUES: Final = 50
COUNTED_TO: Final = 10_000
"""Totals are exact up to here; beyond, counting would be most of the work."""
_CODE_BEGINS: Final = re.compile(r"[pcbu][0-9a-f]{1,4}")
_FUZZY: Final = "AUTO:4,7"
"""One typing error from four letters on, two from seven."""
_VIN_FUZZY_CHARS: Final = 11
_FACET_FIELDS: Final = {
    Facet.MAKE: "make",
    Facet.MODEL: "model",
    Facet.YEAR: "year",
    Facet.ORIGIN: "origin",
    Facet.DTC: "dtc_codes",
}


def build_body(fleet: FleetAccess, wanted: Wanted, *, limit: int, after: Sequence[Any] | None = None) -> Body:
    """The body of `_search`: `limit` results and one more, which tells whether there is a next page."""
    filters: list[Body] = [
        _consented(fleet, SEARCHABLE),
        {"terms": {"origin": list(wanted.origins)}},
    ]
    if wanted.make is not None:
        filters.append({"term": {"make.exact": wanted.make}})
    if wanted.model is not None:
        filters.append({"term": {"model.exact": wanted.model}})
    years = {"gte": wanted.year_from, "lte": wanted.year_to}
    if any(value is not None for value in years.values()):
        filters.append({"range": {"year": {name: value for name, value in years.items() if value}}})
    if wanted.dtc is not None:
        filters.append(_with_codes(fleet, {"term": {"dtc_codes.exact": wanted.dtc}}))
    if wanted.is_about_places:
        filters.append(_placed(fleet, wanted))
    body: Body = {
        "query": {"bool": {"filter": filters, "must": [_word(fleet, word) for word in wanted.words]}},
        "sort": _sort(fleet, wanted),
        "size": limit + 1,
        "track_total_hits": COUNTED_TO,
        "_source": {"excludes": ["consents"]},
    }
    if wanted.facets:
        body["aggs"] = {facet.value: _facet(fleet, facet) for facet in wanted.facets}
    if after is not None:
        body["search_after"] = list(after)
    return body


def _consented(fleet: FleetAccess, any_of: Collection[Scope]) -> Body:
    """Only vehicles of which the partner may read one of these classes of data."""
    held = sorted(fleet.scopes & frozenset(any_of))
    if not held:
        return {"match_none": {}}
    indexed: Body = {"terms": {"consents": [consent_term(fleet.client_id, scope) for scope in held]}}
    if not fleet.changed:
        return indexed
    now = sorted(vin for vin, scopes in fleet.changed.items() if scopes & frozenset(held))
    unchanged = {"bool": {"filter": [indexed], "must_not": [{"terms": {"vin": sorted(fleet.changed)}}]}}
    return {"bool": {"should": [unchanged, {"terms": {"vin": now}}], "minimum_should_match": 1}}


def _with_codes(fleet: FleetAccess, query: Body) -> Body:
    return {"bool": {"filter": [_consented(fleet, [Scope.DTC_READ]), query]}}


def _word(fleet: FleetAccess, word: str) -> Body:
    """The word fits in one of the ways, and counts by the best."""
    ways = [
        _counts(64, {"term": {"vin.exact": word}}),
        *(
            way
            for field, best in (("make", 16), ("model", 15))
            for way in (
                _counts(best, {"term": {f"{field}.exact": word}}),
                _counts(best - 3, {"match": {f"{field}.text": {"query": word, "operator": "and"}}}),
                _counts(best - 8, _begins(f"{field}.text", word)),
                _counts(best - 13, _resembles(f"{field}.text", word)),
            )
        ),
    ]
    if len(word) > 1:
        ways.append(_counts(32, {"prefix": {"vin.text": word}}))
    if len(word) >= _VIN_FUZZY_CHARS:
        # every VIN is a word of its own: with the maker's three characters sure, most are never looked at
        ways.append(_counts(10, _resembles("vin.text", word, sure_chars=3)))
    if word.isascii() and word.isdecimal() and len(word) == 4:
        ways.append(_counts(12, {"term": {"year": int(word)}}))
    ways += _code_ways(fleet, word)
    return {"dis_max": {"queries": ways}}


def _code_ways(fleet: FleetAccess, word: str) -> list[Body]:
    if Scope.DTC_READ not in fleet.scopes:
        return []
    ways = [_counts(5, {"match": {"dtc_meanings": {"query": word, "operator": "and"}}})]
    if len(word) > 2:
        ways.append(_counts(3, _begins("dtc_meanings", word)))
        ways.append(_counts(1, _resembles("dtc_meanings", word)))
    if _CODE_BEGINS.fullmatch(word[:5]):
        ways.append(_counts(24, {"term": {"dtc_codes.exact": word}}))
        ways.append(_counts(12, {"prefix": {"dtc_codes.text": word}}))
    # consent once, whatever the number of ways
    return [
        {"bool": {"filter": [_consented(fleet, [Scope.DTC_READ])], "must": [{"dis_max": {"queries": ways}}]}}
    ]


def _begins(field: str, word: str) -> Body:
    return {"match_bool_prefix": {field: {"query": word, "operator": "and"}}}


def _resembles(field: str, word: str, *, sure_chars: int = 1) -> Body:
    """The word with typing errors, but not in its first characters."""
    return {
        "match": {
            field: {
                "query": word,
                "operator": "and",
                "fuzziness": _FUZZY,
                "prefix_length": sure_chars,
                "max_expansions": 50,
            }
        }
    }


def _counts(weight: int, query: Body) -> Body:
    return {"constant_score": {"filter": query, "boost": weight}}


def _placed(fleet: FleetAccess, wanted: Wanted) -> Body:
    """Inside circle and box, each vehicle by the position that its consent covers; without it, nowhere."""
    precise = _consented(fleet, [Scope.LOCATION_PRECISE])
    coarse = {"bool": {"filter": [_consented(fleet, [Scope.LOCATION_COARSE])], "must_not": [precise]}}
    ways = [
        {"bool": {"filter": [consented, *_areas(field, wanted)]}}
        for scope, consented, field in (
            (Scope.LOCATION_PRECISE, precise, "position"),
            (Scope.LOCATION_COARSE, coarse, "position_coarse"),
        )
        if scope in fleet.scopes
    ]
    return {"bool": {"should": ways, "minimum_should_match": 1}} if ways else {"match_none": {}}


def _areas(field: str, wanted: Wanted) -> list[Body]:
    areas = []
    if wanted.near is not None:
        areas.append(
            {"geo_distance": {"distance": f"{wanted.near.radius_m:.1f}m", field: _point(wanted.near)}}
        )
    if wanted.box is not None:
        areas.append({"geo_bounding_box": {field: _corners(wanted.box)}})
    return areas


def _point(near: Near) -> Body:
    return {"lat": near.lat_deg, "lon": near.lng_deg}


def _corners(box: Box) -> Body:
    return {
        "top_left": {"lat": box.north_deg, "lon": box.west_deg},
        "bottom_right": {"lat": box.south_deg, "lon": box.east_deg},
    }


def _sort(fleet: FleetAccess, wanted: Wanted) -> list[Body]:
    if wanted.sort is Sort.RELEVANCE or wanted.near is None:
        return [{"_score": {"order": "desc"}}, {"vin": {"order": "asc"}}]
    # one field orders all: the coarse one where the token may be about coarse consents
    is_precise = Scope.LOCATION_COARSE not in fleet.scopes
    by_distance = {
        "position" if is_precise else "position_coarse": _point(wanted.near),
        "order": "asc",
        "unit": "m",
        "distance_type": "arc",
    }
    return [{"_geo_distance": by_distance}, {"vin": {"order": "asc"}}]


def _facet(fleet: FleetAccess, facet: Facet) -> Body:
    values: Body = {"terms": {"field": _FACET_FIELDS[facet], "size": FACET_VALUES}}
    if facet is not Facet.DTC:
        return values
    return {"filter": _consented(fleet, [Scope.DTC_READ]), "aggs": {"values": values}}
