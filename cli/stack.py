"""`piston up | down | status | doctor`: the local servers and Piston's own services."""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from stack.doctor import Finding
    from stack.report import ServerStatus
    from telematics.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Machine output on standard output.")]

_LOCK_FILE = Path(__file__).resolve().parent.parent / "requirements" / "lock.txt"
_MARKS = {"ok": "[green]ok[/]", "warn": "[yellow]warn[/]", "fail": "[red]fail[/]"}


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command()(doctor)


def up(
    services: Annotated[
        bool, typer.Option("--services", help="Also gateway, sink, live, API, Dagster.")
    ] = False,
    migrate: Annotated[bool, typer.Option("--migrate/--no-migrate", help="Apply the schema.")] = True,
    as_json: Json = False,
) -> None:
    """Install what is missing, start the servers, apply the schema. Does nothing twice."""
    from stack import control
    from telematics.settings import current_settings

    settings, started, progress = current_settings(), time.monotonic(), _progress()
    control.up(settings, progress=progress)
    if migrate:
        from migrations.apply import upgrade

        upgrade(settings, progress)
    if services:
        control.start_services(settings, progress=progress)
    seconds = time.monotonic() - started
    if as_json:
        _print_json({"seconds": round(seconds, 2), "processes": _as_dicts(control.status(settings))})
        return
    typer.echo(f"the stack is up ({seconds:.1f} s): data in {settings.data}", err=True)


def down(
    services_only: Annotated[
        bool, typer.Option("--services-only", help="Leave the servers running.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Stop services, servers and their supervisor. Data stay."""
    from stack import control
    from telematics.settings import current_settings

    started = time.monotonic()
    control.down(current_settings(), services_only=services_only, progress=_progress())
    seconds = time.monotonic() - started
    if as_json:
        _print_json({"seconds": round(seconds, 2)})
        return
    typer.echo(f"{'services are' if services_only else 'the stack is'} down ({seconds:.1f} s)", err=True)


def status(as_json: Json = False) -> None:
    """Show every server and service; ends with 1 if one that should run does not."""
    from stack import control
    from telematics.settings import current_settings

    settings = current_settings()
    found = control.status(settings)
    is_wrong = any(one.is_wrong for one in found) or not any(one.group == "servers" for one in found)
    if as_json:
        _print_json({"ok": not is_wrong, "data_dir": str(settings.data), "processes": _as_dicts(found)})
    else:
        _print_status(found)
    if is_wrong:
        raise typer.Exit(1)


def doctor(as_json: Json = False) -> None:
    """Check the machine and the stack; every finding says what to do. Ends with 0 if nothing fails."""
    from stack.doctor import Level, examine, worst
    from telematics.settings import current_settings

    settings = current_settings()
    findings = []
    for finding in [*examine(settings, _LOCK_FILE), *_schema_findings(settings)]:
        findings.append(finding)
        if not as_json:
            _print_finding(finding)
    level = worst(findings)
    if as_json:
        _print_json({"level": level, "findings": [asdict(finding) for finding in findings]})
    if level is Level.FAIL:
        raise typer.Exit(1)


def _schema_findings(settings: "Settings") -> "list[Finding]":
    from migrations.apply import states
    from stack import control
    from stack.doctor import Finding, Level

    if not any(one.healthy for one in control.status(settings) if one.group == "servers"):
        return []
    from telematics.errors import UnavailableError

    try:
        return [
            Finding(f"schema of {state.store}", Level.OK, f"at {state.head}")
            if state.is_current
            else Finding(
                f"schema of {state.store}",
                Level.FAIL,
                f"at {state.current}, not at {state.head}",
                "run: piston up",
            )
            for state in states(settings)
        ]
    except UnavailableError as error:
        return [Finding("schema", Level.FAIL, str(error), "run: piston up")]


def _progress() -> Callable[[str], None]:
    started = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {line}", file=sys.stderr, flush=True)

    return say


def _as_dicts(found: "list[ServerStatus]") -> list[dict[str, Any]]:
    return [asdict(one) for one in found]


def _print_json(document: dict[str, Any]) -> None:
    print(json.dumps(document, default=str))


def _print_status(found: "list[ServerStatus]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("", "state", "healthy", "process", "port", "uptime", "memory", "detail"):
        table.add_column(
            heading, justify="right" if heading in ("process", "port", "uptime", "memory") else "left"
        )
    for one in found:
        table.add_row(
            one.name,
            one.state.lower(),
            {True: "yes", False: "no", None: ""}[one.healthy],
            str(one.pid or ""),
            str(one.port or ""),
            "" if one.uptime_s is None else f"{one.uptime_s:.0f} s",
            "" if one.memory_bytes is None else f"{one.memory_bytes / 1e6:.0f} MB",
            one.detail,
            style="red" if one.is_wrong else None,
        )
    if found:
        Console().print(table)


def _print_finding(finding: "Finding") -> None:
    from rich.console import Console

    advice = f" — {finding.advice}" if finding.advice else ""
    Console(soft_wrap=True).print(
        f"{_MARKS[finding.level]:<18} {finding.name}: {finding.detail}{advice}", highlight=False
    )
