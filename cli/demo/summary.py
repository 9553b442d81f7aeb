"""What the demo prints at its end."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from cli.demo.answers import Comparison
from cli.demo.freshness import Freshness
from cli.demo.stages import Stage
from cli.demo.steps import Steps
from cli.recorded_drives import CarDrives, table
from telematics.settings import Settings


def show(
    settings: Settings,
    *,
    steps: Steps,
    compared: Sequence[Comparison],
    stages: Sequence[Stage],
    credentials: tuple[str, str],
    vins: Sequence[str],
    drives: Sequence[CarDrives],
    freshness: Freshness,
) -> None:
    """Print addresses, credentials, answers, rows at each stage and seconds of each step."""
    console = Console(width=120, highlight=False)
    console.print()
    if drives:
        console.print(table(drives))
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
