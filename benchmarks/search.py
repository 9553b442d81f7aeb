"""`piston bench search`: searches through the whole API over an index of 100,000 vehicles.

What is timed is the application's answer to a GET: token, consent of every vehicle that the partner may find,
Elasticsearch, consent of the results, JSON; only the socket between partner and API is left out. One search
at a time, of nine kinds in turn, each about a vehicle drawn by chance. Partners differ in how many vehicles
they may find, a thousand, ten thousand and all, and one has got its thousand consents since the index was
built: those stand in each of its queries.

A search for a VIN that does not find its vehicle ends the benchmark: there are no figures of wrong answers.
"""

import asyncio
import json
import logging
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import psycopg
import redis
import structlog

from benchmarks.measuring import Figures, Report, percentile
from benchmarks.partner import make_partner
from benchmarks.private_stack import private_stack
from serving.app import create_app
from serving.partners.service import Credentials
from telematics.dtc import meanings
from telematics.names import live_key
from telematics.settings import Settings
from warehouse.search import Feeder, rebuild
from warehouse.search.sources import batches

VEHICLES: Final = 100_000
GRANTS: Final = (1_000, 10_000, VEHICLES)
CHANGED: Final = 1_000
"""Consents of one partner that are newer than the index."""
_SEED: Final = 20_250_315
_WARM_UP: Final = 63
_MODELS: Final = {
    "Toyota": ("Corolla", "Camry", "RAV4", "Hilux", "Yaris"),
    "Honda": ("Civic", "Accord", "CR-V"),
    "Ford": ("F-150", "Focus", "Transit", "Mustang"),
    "Volkswagen": ("Golf", "Passat", "Tiguan", "Crafter"),
    "Mercedes-Benz": ("Sprinter", "C-Class", "Actros"),
    "Renault": ("Clio", "Megane", "Kangoo"),
    "Hyundai": ("Elantra", "Tucson", "Ioniq 5"),
    "Chevrolet": ("Silverado", "Bolt EV", "Malibu"),
}
_CITIES: Final = ((42.28, -83.74), (41.88, -87.63), (40.71, -74.01), (34.05, -118.24), (48.86, 2.35))
_KINDS: Final = (
    "VIN", "VIN's beginning", "make with an error", "make and model", "model's beginning and year", "meaning",
    "near", "box with facets", "code near with facet",
)  # fmt: skip
"""What `_query` asks, in its order."""
_LETTERS: Final = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"


@dataclass(frozen=True, slots=True)
class Car:
    """A vehicle of the benchmark."""

    vin: str
    make: str
    model: str
    year: int
    lat_deg: float
    lng_deg: float
    codes: tuple[str, ...]


def run(vehicles: int = VEHICLES, searches: int = 450) -> Report:
    """Measure; some minutes, most of them for the vehicles.

    Args:
        vehicles: how many the index holds.
        searches: for each of the partners.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    chance = random.Random(_SEED)
    cars = [*_cars(vehicles, chance)]
    figures: Figures = {}
    notes = []
    with private_stack(with_search=True) as settings:
        _register(settings, cars)
        partners = {
            f"{count}_grants": (
                asyncio.run(make_partner(settings, _vins(cars[:count]), days_ago=1)),
                cars[:count],
            )
            for count in sorted({min(count, vehicles) for count in GRANTS})
        }
        built = rebuild(settings, datetime.now(UTC).date())
        figures["rebuild_seconds"] = built.seconds
        figures["index_bytes_per_vehicle"] = built.index_bytes / built.document_count
        fed = Feeder(settings).sweep()  # a new feeder takes every vehicle for changed
        figures["feed_documents_per_s"] = fed.written / fed.seconds
        newly = cars[:CHANGED]
        partners[f"{len(newly)}_new_grants"] = (
            asyncio.run(make_partner(settings, _vins(newly), days_ago=0)),
            newly,
        )
        for name, (partner, theirs) in partners.items():
            spent_ms = asyncio.run(_measure(settings, partner, theirs, searches, chance))
            figures[f"search_p50_ms_{name}"] = percentile(spent_ms, 50)
            figures[f"search_p99_ms_{name}"] = percentile(spent_ms, 99)
            by_kind = ", ".join(
                f"{kind} {percentile(spent_ms[place :: len(_KINDS)], 50):.0f}"
                for place, kind in enumerate(_KINDS)
            )
            notes.append(f"{name}: slowest {max(spent_ms):.1f} ms; median ms of {by_kind}")
    figures["search_p99_ms"] = figures[f"search_p99_ms_{vehicles}_grants"]
    notes.append(
        f"{vehicles:,} vehicles, {searches} searches by each partner, one at a time; `search_p99_ms` is "
        "of the partner who may find all of them"
    )
    return Report("search", figures, tuple(notes))


def _cars(count: int, chance: random.Random) -> Iterator[Car]:
    codes = sorted(meanings())
    for number in range(count):
        make = chance.choice(tuple(_MODELS))
        lat_deg, lng_deg = chance.choice(_CITIES)
        yield Car(
            vin="".join(chance.choice(_LETTERS) for _ in range(11)) + f"{number:06d}",
            make=make,
            model=chance.choice(_MODELS[make]),
            year=chance.randint(1998, 2026),
            lat_deg=lat_deg + chance.gauss(0, 0.6),
            lng_deg=lng_deg + chance.gauss(0, 0.8),
            codes=tuple(chance.sample(codes, chance.choice((0, 0, 1, 1, 2, 3)))),
        )


def _vins(cars: Sequence[Car]) -> list[str]:
    return [car.vin for car in cars]


def _register(settings: Settings, cars: Sequence[Car]) -> None:
    """The vehicles in the registry, and their live state."""
    with (
        psycopg.connect(settings.timescale_dsn()) as connection,
        connection.cursor() as cursor,
        cursor.copy("copy vehicles (vin, make, model, model_year) from stdin") as copy,
    ):
        for car in cars:
            copy.write_row([car.vin, car.make, car.model, car.year])
    now_ms = int(time.time() * 1000)
    with redis.Redis.from_url(settings.valkey_url()) as live:
        for some in batches(cars, 1_000):
            pipeline = live.pipeline(transaction=False)
            for car in some:
                position = {"lat": car.lat_deg, "lng": car.lng_deg, "accuracy_m": 5.0}
                values = {"seen": {}, "position": position, "dtc_codes": car.codes}
                fields = {name: f"{now_ms}|{json.dumps(value)}" for name, value in values.items()}
                pipeline.hset(live_key(car.vin), mapping=fields)
            pipeline.execute()


async def _measure(
    settings: Settings, made: Credentials, cars: Sequence[Car], searches: int, chance: random.Random
) -> list[float]:
    """Milliseconds of each search of a partner with consent for these vehicles."""
    app = create_app(settings)
    spent_ms = []
    async with app.router.lifespan_context(app) as state:

        async def with_state(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": dict(state or {})}, receive, send)

        transport = httpx.ASGITransport(with_state)
        async with httpx.AsyncClient(transport=transport, base_url="http://benchmark") as client:
            answer = await client.post(
                "/oauth/token",
                data={"grant_type": "client_credentials"},
                auth=(made.partner.client_id, made.client_secret),
            )
            client.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
            for number in range(_WARM_UP + searches):
                car = chance.choice(cars)
                started = time.perf_counter()
                answer = await client.get("/api/v1/search", params=_query(number, car))
                elapsed_ms = (time.perf_counter() - started) * 1000
                _require(answer, number, car)
                if number >= _WARM_UP:
                    spent_ms.append(elapsed_ms)
    return spent_ms


def _query(number: int, car: Car) -> dict[str, Any]:
    """A search about the car, of one of nine kinds."""
    near = f"{car.lat_deg:.5f},{car.lng_deg:.5f}"
    south, west = car.lat_deg - 0.3, car.lng_deg - 0.3
    kinds: tuple[dict[str, Any], ...] = (
        {"q": car.vin},
        {"q": car.vin[:8].lower()},
        {"q": f"{car.make[:3]}{car.make[4:]}"},  # a letter left out
        {"q": f"{car.make} {car.model}"},
        {"q": f"{car.model[:3]} {car.year}"},
        {"q": "misfire cylinder"},
        {"near": near, "radius_mi": 25, "sort": "distance"},
        {
            "box": f"{south:.4f},{west:.4f},{south + 0.6:.4f},{west + 0.6:.4f}",
            "facets": ["make", "year", "dtc"],
        },
        {"dtc": "P0300", "near": near, "radius_mi": 100, "facets": "make"},
    )
    return kinds[number % len(kinds)]


def _require(answer: httpx.Response, number: int, car: Car) -> None:
    found = [each["vin"] for each in answer.raise_for_status().json()["results"]]
    if number % len(_KINDS) in (0, 1) and car.vin not in found:
        message = f"search {number} did not find the vehicle that it named"
        raise RuntimeError(message)
