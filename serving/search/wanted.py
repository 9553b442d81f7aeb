"""What a search asks for, as a value."""

from dataclasses import dataclass
from enum import StrEnum

from telematics.names import Origin


class Sort(StrEnum):
    """The order of results."""

    RELEVANCE = "relevance"
    DISTANCE = "distance"


class Facet(StrEnum):
    """What results can be counted by."""

    MAKE = "make"
    MODEL = "model"
    YEAR = "year"
    ORIGIN = "origin"
    DTC = "dtc"


@dataclass(frozen=True, slots=True)
class Near:
    """A circle on the map."""

    lat_deg: float
    lng_deg: float
    radius_m: float


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the map; with west greater than east it crosses the 180th meridian."""

    south_deg: float
    west_deg: float
    north_deg: float
    east_deg: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """One search."""

    words: tuple[str, ...] = ()
    """Each must fit the vehicle somehow."""
    make: str | None = None
    model: str | None = None
    year_from: int | None = None
    year_to: int | None = None
    dtc: str | None = None
    origins: tuple[Origin, ...] = (Origin.LIVE,)
    near: Near | None = None
    box: Box | None = None
    sort: Sort = Sort.RELEVANCE
    facets: tuple[Facet, ...] = ()

    @property
    def is_about_places(self) -> bool:
        """Whether the answer depends on where vehicles are."""
        return self.near is not None or self.box is not None

    @property
    def is_about_trouble_codes(self) -> bool:
        """Whether the answer depends on trouble codes, beyond what words happen to fit."""
        return self.dtc is not None or Facet.DTC in self.facets
