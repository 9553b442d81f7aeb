"""The demo, step by step. Every step may find its work done already: run again, nothing doubles."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from cli import recorded_drives
from cli.demo import fleet, summary
from cli.demo.answers import COMPARISONS, Comparison, Partner, Stores
from cli.demo.freshness import VIN, Freshness, measure_once, register_probe
from cli.demo.stages import DayRange, days_to_build, stages, wait_for_sink
from cli.demo.steps import Steps, say
from migrations import apply
from ml.registry import POINTER
from orchestration.training import registry_folder
from serving.scopes import Scope
from stack import control
from telematics.clock import utc_today
from telematics.errors import PistonError
from telematics.settings import Settings, load_settings

PARTNER = "Demo history company"
SERVICES = ("sink", "live", "search-feed", "gateway", "api")
# later: its schedules would build days while the drives are still coming in
LATE_SERVICES = ("dagster",)
SINK_PATIENCE_S = 60.0
# an empty folder of recordings is the same as none
RECORDINGS = "VehId_*.tar.zst"


class DemoError(PistonError):
    """A step of the demo did not end well."""


@dataclass(frozen=True)
class Credentials:
    """What a partner needs to take a token."""

    client_id: str
    client_secret: str


def recordings_folder() -> Path | None:
    """The folder of recorded drives beside the clone (or `PISTON_VED_DIR`), None if there is none."""
    named = os.environ.get("PISTON_VED_DIR")
    folder = Path(named) if named else Path(__file__).resolve().parents[2].parent / "shared/data/ved"
    return folder if any(folder.glob(RECORDINGS)) else None


def run() -> None:
    """Run every step and print the summary.

    Raises:
        DemoError: a step failed, or an answer disagrees with the stores.
    """
    settings = load_settings()
    steps = Steps()
    with steps.step("Servers: Kafka, TimescaleDB, ClickHouse, Valkey, Elasticsearch"):
        control.up(settings, progress=say)
    with steps.step("Schema and topics"):
        apply.upgrade(settings, say)
    with steps.step("Device port, sink, live state, partner API"):
        control.start_services(settings, SERVICES, progress=say)
    stores = Stores.connect(settings)
    try:
        with steps.step("From a record's ACK to live-status"):
            register_probe(settings)
            credentials = _partner(settings, [VIN])
            freshness = _measure(settings, credentials)
        recordings = recordings_folder()
        with steps.step("Drives through the device port"):
            _replay(recordings)
            fleet.drive_live(settings, _piston)
            wait_for_sink(settings, stores.hot, say, SINK_PATIENCE_S)
        with steps.step(f"A simulated fleet's history: {fleet.VEHICLES:,} cars, {fleet.DAYS} days"):
            history = fleet.write_history(settings, _piston, say)
        with steps.step("Backfill of that history"):
            _piston("backfill", str(history))
        telemetry_days = days_to_build(stores.hot, utc_today())
        with steps.step("Features of the days before telemetry"):
            _features(fleet.features_to_build(fleet.loaded_days(stores.warm), telemetry_days, utc_today()))
        with steps.step("Warehouse: every day in one ranged run"):
            _build(telemetry_days)
        with steps.step("Hot retention"):
            _retain(settings)
        with steps.step("Sender's ledger against the stores, both ways"):
            _piston("replay", "verify")
        with steps.step("Battery model: training set, candidate, gate, champion"):
            _train(settings)
        with steps.step("Predictions and health scores, published"):
            _score(settings, stores)
        with steps.step("Dagster"):
            control.start_services(settings, LATE_SERVICES, progress=say)
        with steps.step("Answers over HTTP, compared with SQL"):
            vins = _vins(stores)
            compared = _ask(settings, stores, _partner(settings, vins), vins)
        summary.show(
            settings,
            steps=steps,
            compared=compared,
            stages=stages(settings, stores.hot, stores.warm),
            credentials=(credentials.client_id, credentials.client_secret),
            vins=vins,
            freshness=freshness,
            drives=recorded_drives.compare(stores.warm) if recordings else [],
        )
    finally:
        stores.close()
    if not all(each.agrees for each in compared):
        message = "an answer of the API disagrees with the stores, see above"
        raise DemoError(message)


def _piston(*arguments: str) -> None:
    """Run a piston command as a user would, its output shown."""
    _command("-m", "cli.main", *arguments)


def _command(*arguments: str) -> None:
    done = subprocess.run([sys.executable, *arguments], check=False)
    if done.returncode != 0:
        message = f"`{' '.join(arguments)}` ended with exit code {done.returncode}"
        raise DemoError(message)


def _piston_json(*arguments: str) -> Any:
    """The JSON that a piston command prints."""
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments, "--json"], check=False, stdout=subprocess.PIPE
    )
    if done.returncode != 0:
        message = f"`piston {' '.join(arguments)}` ended with exit code {done.returncode}"
        raise DemoError(message)
    return json.loads(done.stdout)


def _replay(recordings: Path | None) -> None:
    if recordings is None:
        say("there are no recorded drives (../shared/data/ved): only simulated cars drive")
    else:
        _piston("replay", "ved", str(recordings), "--fast", "--end-now")


def _build(days: DayRange | None) -> None:
    if days is None:
        say("every day is in the warehouse already")
        return
    say(f"{(days.until - days.first).days} days, {days.first} to {days.until - timedelta(days=1)}")
    _command("-m", "orchestration.launch", "--from", str(days.first), "--until", str(days.until), "--checks")


def _features(days: DayRange | None) -> None:
    if days is None:
        say("every day has its features already")
        return
    say(f"{(days.until - days.first).days} days, {days.first} to {days.until - timedelta(days=1)}")
    _launch("features_job", "--from", str(days.first), "--until", str(days.until))


def _train(settings: Settings) -> None:
    if (registry_folder(settings) / fleet.COMPONENT / POINTER).is_file():
        say("a champion is promoted already")
    else:
        _launch("training_job")


def _score(settings: Settings, stores: Stores) -> None:
    if fleet.is_scored(settings, stores.warm, utc_today()):
        say("the newest day is scored already, every vehicle of it")
    else:
        _launch("scoring_job")


def _launch(job: str, *arguments: str) -> None:
    _command("-m", "orchestration.launch", "--job", job, *arguments)


def _retain(settings: Settings) -> None:
    from warehouse.retention import drop_merged_days

    report = drop_merged_days(settings, utc_today(), settings.hot_retention_days, progress=say)
    say(f"{len(report.dropped)} days left the hot tier")
    for kept in report.kept:
        say(f"{kept.day} stays: {kept.reason}")


def _vins(stores: Stores) -> list[str]:
    """The cars that drove through the device port, recorded ones first; not the probe."""
    rows = stores.hot.execute(
        "select distinct vin, origin from device_installations join vehicles using (vin)"
        " where vin <> %s order by origin, vin",
        [VIN],
    ).fetchall()
    return [row[0] for row in rows]


def _partner(settings: Settings, vins: list[str]) -> Credentials:
    """The demo's partner with a grant for these cars; its secret is kept in the stack's state folder."""
    kept = settings.state / "demo-partner.json"
    partners = {each["name"]: each for each in _piston_json("partner", "list")}
    if PARTNER in partners and kept.is_file():
        credentials = Credentials(**json.loads(kept.read_text()))
    else:
        if PARTNER in partners:
            made = _piston_json("partner", "rotate-secret", partners[PARTNER]["client_id"])
        else:
            made = _piston_json("partner", "create", PARTNER, "--kind", "history")
        credentials = Credentials(made["client_id"], made["client_secret"])
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.touch(mode=0o600)
        kept.write_text(json.dumps(credentials.__dict__))
    # a partner that an earlier release's demo made may lack what the newest endpoints ask for
    _piston_json("partner", "add-scope", credentials.client_id, "--scope", Scope.MAINTENANCE_READ)
    named = [part for vin in vins for part in ("--vin", vin)]
    _piston_json("consent", "grant", credentials.client_id, *named, "--purpose", "demo")
    return credentials


def _log_in(settings: Settings, credentials: Credentials) -> Partner:
    address = f"http://{settings.api_host}:{settings.api_port}"
    return Partner(address, credentials.client_id, credentials.client_secret)


def _measure(settings: Settings, credentials: Credentials) -> Freshness:
    partner = _log_in(settings, credentials)
    try:
        return measure_once(settings, partner, say)
    finally:
        partner.close()


def _ask(settings: Settings, stores: Stores, credentials: Credentials, vins: list[str]) -> list[Comparison]:
    partner = _log_in(settings, credentials)
    try:
        # a different car for each question
        compared = [
            compare(partner, stores, vins[place % len(vins)]) for place, compare in enumerate(COMPARISONS)
        ]
        # a car with something to say, and (where there are recorded cars) one without a 12 V reading
        asked = dict.fromkeys((fleet.riskiest(stores.warm), vins[0]))
        return [*compared, *(fleet.compare_prediction(partner, stores, vin) for vin in asked)]
    finally:
        partner.close()
