"""What the demo prints at its end."""

from collections.abc import Sequence
from typing import NamedTuple

from clickhouse_connect.driver.client import Client
from rich.console import Console
from rich.table import Table

from cli.demo.answers import Comparison
from cli.demo.freshness import Freshness
from cli.demo.stages import Stage
from cli.demo.steps import Steps
from simulation.replay.ved_fleet import ved_vehicle
from simulation.replay.ved_oracles import VED_ORACLES
from telematics.settings import Settings

_M_PER_KM = 1000.0


class CarDistance(NamedTuple):
    """A recorded car: what its recording holds, and what came out of the warehouse."""

    vehicle_id: int
    recorded_km: float
    warehouse_km: float
    recorded_trips: int
    warehouse_trips: int
    trips_by_silence: int


def distances(warm: Client) -> list[CarDistance]:
    """Distance by speed and trips of each recorded car against its recording."""
    found = {
        row[0]: row[1:]
        for row in warm.query(
            "select vin, sum(distance_m), sum(trip_count), sum(gap_segment_count)"
            " from analytics.vehicle_analytics where origin = 'recorded' group by vin"
        ).result_rows
    }
    rows = []
    for oracle in VED_ORACLES:
        metres, trips, by_silence = found.get(ved_vehicle(oracle.vehicle_id).vin, (0.0, 0, 0))
        rows.append(
            CarDistance(
                oracle.vehicle_id,
                oracle.speed_km,
                metres / _M_PER_KM,
                oracle.trips,
                int(trips),
                int(by_silence),
            )
        )
    return rows


def show(
    settings: Settings,
    *,
    steps: Steps,
    compared: Sequence[Comparison],
    stages: Sequence[Stage],
    credentials: tuple[str, str],
    vins: Sequence[str],
    distances: Sequence[CarDistance],
    freshness: Freshness,
) -> None:
    """Print addresses, credentials, answers, rows at each stage and seconds of each step."""
    console = Console(width=120, highlight=False)
    console.print()
    if distances:
        console.print(_distance_table(distances))
    console.print(_stage_table(stages))
    console.print(_step_table(steps))
    for each in compared:
        verdict = "[green]agrees[/]" if each.agrees else "[red]DISAGREES[/]"
        console.print(f"{verdict}  {each.request}", soft_wrap=True)
        console.print(f"         API  {each.answer}\n         SQL  {each.sql}", soft_wrap=True)
    console.print(
        f"readable at live-status after the ACK: median {freshness.median_ms} ms, "
        f"at most {freshness.max_ms} ms "
        f"({freshness.records} records, measured on this stack's first run)",
        soft_wrap=True,
    )
    api = f"http://{settings.api_host}:{settings.api_port}"
    console.print(
        f"\nDagster UI     http://{settings.dagster_host}:{settings.dagster_port}"
        f"\nAPI documents  {api}/docs"
        f"\nDevice port    {settings.gateway_host}:{settings.gateway_port} (TCP)"
        f"\nPartner        CLIENT_ID={credentials[0]} CLIENT_SECRET={credentials[1]}"
        f"\nCars           {len(vins)}, for example VIN={vins[0]}"
        "\n\nThe stack stays up: `piston status` shows it, `make down` stops it.",
        soft_wrap=True,
    )


def _percent(value: float, reference: float) -> str:
    return f"{100 * (value / reference - 1):+.2f} %" if reference else "–"


def _distance_table(distances: Sequence[CarDistance]) -> Table:
    table = Table(title="Recorded cars: the recording against the warehouse", title_justify="left")
    for name in (
        "car",
        "km recorded",
        "km",
        "off by",
        "trips recorded",
        "trips",
        "off by",
        "by silence alone",
    ):
        table.add_column(name, justify="right")
    for each in distances:
        table.add_row(
            str(each.vehicle_id),
            f"{each.recorded_km:,.1f}",
            f"{each.warehouse_km:,.1f}",
            _percent(each.warehouse_km, each.recorded_km),
            str(each.recorded_trips),
            str(each.warehouse_trips),
            _percent(each.warehouse_trips, each.recorded_trips),
            _percent(each.trips_by_silence, each.recorded_trips),
        )
    return table


def _stage_table(stages: Sequence[Stage]) -> Table:
    table = Table(title="What stands at each stage", title_justify="left")
    table.add_column("stage")
    table.add_column("count", justify="right")
    table.add_column("of")
    for each in stages:
        table.add_row(each.name, f"{each.quantity:,}", each.unit)
    return table


def _step_table(steps: Steps) -> Table:
    table = Table(title="Seconds of each step", title_justify="left")
    table.add_column("step")
    table.add_column("s", justify="right")
    for title, seconds in steps.seconds.items():
        table.add_row(title, f"{seconds:.1f}")
    table.add_row("in all", f"{sum(steps.seconds.values()):.1f}")
    return table
