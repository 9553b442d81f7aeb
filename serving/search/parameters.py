"""The query of a search, from its parameters to what is wanted."""

import re
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from serving.problems.errors import FieldProblem, InvalidParametersError
from serving.search.cursors import LONGEST_CURSOR
from serving.search.wanted import Box, Facet, Near, Sort, Wanted
from serving.vehicles.query import UnitsParameter
from serving.vehicles.units import Units
from telematics.names import Origin
from telematics.units import metres_from_miles

DEFAULT_LIMIT: Final = 20
LARGEST_LIMIT: Final = 100
MOST_WORDS: Final = 8
DEFAULT_RADIUS_MI: Final = 25.0
LARGEST_RADIUS_MI: Final = 12_500.0
"""Half the way around."""
LONGEST_TEXT: Final = 100

_NUMBER: Final = r"-?[0-9]{1,3}(?:\.[0-9]{1,10})?"
_PAIR: Final = rf"^{_NUMBER},{_NUMBER}$"
_CORNERS: Final = rf"^{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}$"
_HAS_WORD: Final = re.compile(r"[^\W_]")
_Year = Annotated[int, Field(ge=1950, le=2100)]
_Name = Annotated[str, Field(min_length=1, max_length=50)]


class SearchQuery(BaseModel):
    """Query of a search. An unknown parameter is an error, not ignored."""

    model_config = ConfigDict(extra="forbid")

    q: str | None = Field(
        None,
        description="Words that must all fit: a VIN or its beginning, make, model, year, a trouble code or "
        f"what it means. The beginning of a word is enough, and typing errors are forgiven. At most "
        f"{MOST_WORDS} words.",
        max_length=LONGEST_TEXT,
        examples=["hond acord misfire"],
    )
    make: _Name | None = Field(None, description="Exactly this make, whatever the case.", examples=["Honda"])
    model: _Name | None = Field(
        None, description="Exactly this model, whatever the case.", examples=["Accord"]
    )
    year_from: _Year | None = Field(None, description="First model year.", examples=[2015])
    year_to: _Year | None = Field(None, description="Last model year.", examples=[2020])
    dtc: str | None = Field(
        None,
        description="Vehicles with this trouble code active now. Needs `dtc:read`.",
        pattern=r"^[PCBU][0-3][0-9A-F]{3}(-[0-9A-F]{2})?$",
        examples=["P0300"],
    )
    origin: list[Origin] = Field(
        [Origin.LIVE],
        description="Where the vehicles' data come from; repeat it for several. Left out: `live` only, for "
        "simulated and recorded vehicles are never mixed in unasked.",
        min_length=1,
        max_length=3,
    )
    near: str | None = Field(
        None,
        description="`latitude,longitude` in degrees: vehicles within `radius_mi` of it. Needs "
        "`location:precise` or `location:coarse`.",
        pattern=_PAIR,
        examples=["42.28,-83.74"],
    )
    radius_mi: float | None = Field(
        None,
        description=f"Miles around `near`; left out: {DEFAULT_RADIUS_MI:g}.",
        gt=0,
        le=LARGEST_RADIUS_MI,
        allow_inf_nan=False,
        examples=[25],
    )
    box: str | None = Field(
        None,
        description="`south,west,north,east` in degrees: vehicles inside. West greater than east crosses the "
        "180th meridian. Needs a location scope, as `near` does.",
        pattern=_CORNERS,
        examples=["42.0,-84.0,42.5,-83.5"],
    )
    sort: Sort = Field(
        Sort.RELEVANCE,
        description="`relevance`: the best fit first; `distance`: the nearest to `near` first.",
    )
    facets: list[Facet] = Field(
        [],
        description="Count what was found by these; repeat it for several. `dtc` needs `dtc:read`.",
        max_length=len(Facet),
    )
    limit: int = Field(DEFAULT_LIMIT, description="Most results on a page.", ge=1, le=LARGEST_LIMIT)
    cursor: str | None = Field(
        None,
        description="`next` of the page before, with the same query; `limit` and `units` may differ.",
        max_length=LONGEST_CURSOR,
    )
    units: UnitsParameter = Units.IMPERIAL


def wanted_by(query: SearchQuery) -> Wanted:
    """What the query asks for.

    Raises:
        InvalidParametersError: parameters that make no sense, by themselves or together; all are named.
    """
    problems: list[FieldProblem] = []
    wanted = Wanted(
        words=_words(query.q, problems),
        make=query.make,
        model=query.model,
        year_from=query.year_from,
        year_to=query.year_to,
        dtc=query.dtc,
        origins=tuple(sorted(set(query.origin))),
        near=_near(query, problems),
        box=_box(query.box, problems),
        sort=query.sort,
        facets=tuple(sorted(set(query.facets))),
    )
    if query.year_from is not None and query.year_to is not None and query.year_from > query.year_to:
        problems.append(_problem("year_to", "must not be before `year_from`"))
    if query.sort is Sort.DISTANCE and query.near is None:
        problems.append(_problem("near", "is needed to sort by distance"))
    if query.radius_mi is not None and query.near is None:
        problems.append(_problem("near", "is needed for a radius"))
    if problems:
        raise InvalidParametersError(*problems)
    return wanted


def _problem(name: str, detail: str) -> FieldProblem:
    return FieldProblem(f"#/query/{name}", detail)


def _words(text: str | None, problems: list[FieldProblem]) -> tuple[str, ...]:
    if text is None:
        return ()
    words = tuple(dict.fromkeys(word for word in text.lower().split() if _HAS_WORD.search(word)))
    if not words:
        problems.append(_problem("q", "holds nothing to search for: no letter and no digit"))
    elif len(words) > MOST_WORDS:
        problems.append(_problem("q", f"holds {len(words)} words; at most {MOST_WORDS} are searched for"))
    return words[:MOST_WORDS]


def _near(query: SearchQuery, problems: list[FieldProblem]) -> Near | None:
    if query.near is None:
        return None
    lat_deg, lng_deg = map(float, query.near.split(","))
    if not (-90 <= lat_deg <= 90 and -180 <= lng_deg <= 180):
        problems.append(_problem("near", "is no place: latitude is within ±90, longitude within ±180"))
        return None
    return Near(lat_deg, lng_deg, round(metres_from_miles(query.radius_mi or DEFAULT_RADIUS_MI), 1))


def _box(text: str | None, problems: list[FieldProblem]) -> Box | None:
    if text is None:
        return None
    south, west, north, east = map(float, text.split(","))
    if not (-90 <= south <= north <= 90):
        problems.append(_problem("box", "south must not be above north, and both within ±90"))
        return None
    if not (-180 <= west <= 180 and -180 <= east <= 180):
        problems.append(_problem("box", "west and east must be within ±180"))
        return None
    return Box(south, west, north, east)
