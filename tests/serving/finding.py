"""Vehicles to be found, in memory: the documents of those that the partner may find, in order of VIN."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from serving.consent.gate import SEARCHABLE, FleetAccess
from serving.search.repository import Found, Hit
from serving.search.wanted import Wanted
from tests.serving.posting import Outage
from warehouse.search.index import BEFORE_ALL
from warehouse.search.sources import ConsentMark


def make_document(vin: str, **changes: Any) -> dict[str, Any]:
    """A document as the warehouse writes it."""
    return {
        "vin": vin,
        "origin": "live",
        "make": "Honda",
        "model": "Accord",
        "year": 2019,
        "odometer_mi": 61234.5,
        "odometer_source": "can",
        "odometer_at": "2025-12-06T05:30:00.000Z",
        "health_score": 87,
        "dtc_codes": ["P0300", "P1234"],
        "dtc_meanings": ["Misfire detected, random or multiple cylinders"],
        "dtc_at": "2025-12-06T05:38:20.000Z",
        "position": {"lat": 42.277123, "lon": -83.738456},
        "position_coarse": {"lat": 42.28, "lon": -83.74},
        "accuracy_m": 4.5,
        "position_at": "2025-12-06T05:46:40.000Z",
        "last_seen": "2025-12-06T05:46:40.500Z",
        **changes,
    }


@dataclass
class Vehicles:
    """Finds by consent alone; what words and places find is tested on the real server."""

    outage: Outage
    stored: list[dict[str, Any]] = field(default_factory=list)
    asked: list[Wanted] = field(default_factory=list)

    async def find(
        self, fleet: FleetAccess, wanted: Wanted, limit: int, after: Sequence[Any] | None
    ) -> Found:
        self.outage.check()
        self.asked.append(wanted)
        granted = {vin for vin, scopes in fleet.changed.items() if scopes & SEARCHABLE}
        found = sorted((each for each in self.stored if each["vin"] in granted), key=lambda each: each["vin"])
        rest = [each for each in found if after is None or each["vin"] > after[1]]
        return Found(
            hits=[Hit(each, [0.0, each["vin"]]) for each in rest[:limit]],
            has_more=len(rest) > limit,
            total=len(found),
            facets={facet: [("Honda", len(found))] for facet in wanted.facets} or None,
        )


class NoMark:
    """An index that knows no grants: all are looked up one by one."""

    async def read(self) -> ConsentMark:
        return BEFORE_ALL
